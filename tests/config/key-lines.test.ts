import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { parse } from 'smol-toml'
import { keyLines } from '../../config/key-lines.ts'
import { childPath, itemPath } from '../../config/key-path.ts'
import { isTomlTable } from '../../config/toml-type.ts'
import { Random } from './random.ts'

/** Every place of a parsed document, as deep as keyLines goes, with its value. */
function places(
  value: unknown,
  path = '',
  depth = 0,
  found = new Map<string, unknown>(),
): Map<string, unknown> {
  if (path !== '') found.set(path, value)
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) places(item, itemPath(path, index), depth, found)
  } else if (isTomlTable(value) && depth < 8) {
    for (const [key, item] of Object.entries(value)) places(item, childPath(path, key), depth + 1, found)
  }
  return found
}

/** In these documents every number is the line that it stands in. */
function assertNumbersAreLines(text: string): void {
  const lines = keyLines(text)
  const found = places(parse(text))
  assert.deepEqual([...lines.keys()].toSorted(), [...found.keys()].toSorted())
  for (const [path, value] of found) {
    if (typeof value === 'number') assert.equal(lines.get(path), value, `${path} in\n${text}`)
  }
}

describe('the line of a key', () => {
  it('is found in plain tables and dotted keys', () => {
    assertNumbersAreLines('a = 1\nb.c = 2\n\n# comment\n[d]\ne = 6\nf . "g h" = 7\n[d.i.j]\nk = 9\n')
  })

  it('is found in arrays of tables and tables inside them', () => {
    const text =
      '[[a]]\nb = 2\n[[a.c]]\nd = 4\n[[a.c]]\nd = 6\n[a.c.e]\nf = 8\n[[a]]\nb = 10\n[[a.c]]\nd = 12\n'
    assertNumbersAreLines(text)
    assert.equal(keyLines(text).get('a[1].c[0].d'), 12)
    assert.equal(keyLines(text).get('a[0].c[1]'), 5)
  })

  it('is found in arrays over several lines and inline tables', () => {
    assertNumbersAreLines(
      'a = [ 1,\n 2, # two ]\n [ 3, [\n 4 ] ],\n { b = 5, c.d = 5 }, ]\ne = { f = 6, g = [6] }\n',
    )
  })

  it('is not fooled by what strings and comments hold', () => {
    assertNumbersAreLines(
      [
        'a = "# no comment \\" [x]\\nb = 9"',
        "b = '[x] \\'",
        'c = """',
        '[x]',
        'd = 9 \\""" "" # no comment',
        '"""',
        "e = '''",
        "[[x]] ''",
        "'''' # the fourth quote is part of the string",
        'f = """""ends with five quotes"""""',
        'g = [ "]", \'}\', """',
        ']""", 12 ] # ]',
        '"[x]" = 13',
        "'y # z' = 14",
        '"a\\u0062c\\t" = 15',
        '"" = 16',
      ].join('\n'),
    )
  })

  it('is found behind a byte order mark and with the line ends of Windows', () => {
    assertNumbersAreLines('\ufeffa = 1\r\n[b]\r\nc = 3\r\nd = """\r\n\r\n"""\r\ne = 7\r\n')
  })

  it('is found where values are dates, numbers and words', () => {
    const text =
      'a = 1979-05-27T07:32:00Z\nb = 1979-05-27 07:32:00 # c\nc = [ true, -inf,\n 0x1F, 1_0.5e3 ]\nd = 5'
    assertNumbersAreLines(text.replaceAll(/-inf|0x1F|1_0.5e3/g, '"word"'))
    const lines = Object.fromEntries(keyLines(text))
    assert.deepEqual(lines, { a: 1, b: 2, c: 3, 'c[0]': 3, 'c[1]': 3, 'c[2]': 4, 'c[3]': 4, d: 5 })
  })

  it('is not looked for deeper than any key of ours', () => {
    const deep = Array.from({ length: 100_000 }, (_, index) => `k${index}`).join('.')
    const lines = keyLines(
      `${deep} = 1\n[${deep.replaceAll('k', 'j')}]\n[[x.${deep}]]\nlast = 4\n[y]\nz = 6\n`,
    )
    assert.ok(lines.size < 40)
    assert.equal(lines.get('y.z'), 6)
  })

  it('is found quickly in a file of a megabyte', () => {
    const many = Array.from({ length: 60_000 }, (_, index) => `k${index} = "${index}"`).join('\n')
    const started = performance.now()
    assert.equal(keyLines(many).get('k59999'), 60_000)
    assert.ok(performance.now() - started < 5000)
  })

  for (let seed = 1; seed <= 200; seed++) {
    it(`is found in the random document of seed ${seed}`, () => assertNumbersAreLines(randomDocument(seed)))
  }

  it('is found for the same keys as the parser finds, however a file is garbled', async () => {
    const example = await readFile(new URL('../../config/diskferry.example.toml', import.meta.url), 'utf8')
    const random = new Random(7)
    const sources = [example.replaceAll(/^#(?=[[a-z])/gm, ''), ...[1, 2, 3, 4, 5].map(randomDocument)]
    let accepted = 0
    for (let round = 0; round < 5000; round++) {
      const source = random.pick(sources)
      const at = random.below(source.length)
      const garbage = random.pick([
        '',
        '"',
        "'",
        '#',
        '\n',
        '[',
        ']',
        '{',
        '}',
        '=',
        '.',
        ',',
        '\\',
        '"""',
        ' ',
        'x',
      ])
      const text = source.slice(0, at) + garbage + source.slice(at + random.below(3))
      let document: unknown
      try {
        document = parse(text)
      } catch {
        continue
      }
      accepted++
      assert.deepEqual([...keyLines(text).keys()].toSorted(), [...places(document).keys()].toSorted(), text)
    }
    assert.ok(accepted > 500, `only ${accepted} garbled files were still TOML`)
  })
})

/** A valid document in many spellings whose every number is the line that it stands in. */
function randomDocument(seed: number): string {
  const random = new Random(seed)
  let text = ''
  let names = 0
  const line = () => text.split('\n').length
  const name = () => {
    const plain = `k${names++}`
    return random.pick([plain, plain, `"${plain}.# ["`, `'${plain}]'`, `"${plain}\\""`])
  }
  const blank = () => {
    text += random.pick(['', '', '\n', '# [no] = "table"\n', '  \t\n\n'])
  }
  const value = (depth: number) => {
    const kind = random.below(depth > 2 ? 5 : 7)
    if (kind < 2) text += line()
    else if (kind === 2) text += random.pick(['"a # b"', "'[x]'", '"\\"]"', "''", '""'])
    else if (kind === 3) text += random.pick(['"""\n[x]\n"""', "'''\n# \"\n'''", '"""a\\\n   b = 1"""'])
    else if (kind === 4) text += random.pick(['true', '1979-05-27', '"7"'])
    else if (kind === 5) list(depth)
    else inlineTable(depth)
  }
  const list = (depth: number) => {
    text += '['
    for (let left = random.below(4); left > 0; left--) {
      text += random.pick(['', ' ', '\n', ' # ], 1\n'])
      value(depth + 1)
      text += random.pick([',', ' ,', '\n,'])
    }
    text += random.pick([']', '\n]'])
  }
  const inlineTable = (depth: number) => {
    text += '{ '
    for (let left = random.below(3), first = true; left > 0; left--, first = false) {
      text += `${first ? '' : ', '}${name()} = `
      value(depth + 1)
    }
    text += ' }'
  }
  const assignments = () => {
    for (let left = random.below(5); left > 0; left--) {
      blank()
      text += `${name()}${random.pick(['', `.${name()}`])}${random.pick([' = ', '=', '\t= '])}`
      value(0)
      text += random.pick(['\n', ' # comment\n', '\r\n'])
    }
  }
  assignments()
  const arrays: string[] = []
  for (let left = 2 + random.below(6); left > 0; left--) {
    blank()
    const known = arrays.at(-1)
    const kind = random.below(4)
    if (kind === 0) text += `[${name()}.${name()}]`
    else if (kind === 1 && known !== undefined) text += `[[${known}]]`
    else if (kind === 2 && known !== undefined) text += `[ ${known} . ${name()} ]`
    else {
      arrays.push(known !== undefined && random.below(2) === 0 ? `${known}.${name()}` : name())
      text += `[[${arrays.at(-1)}]]`
    }
    text += random.pick(['\n', ' # comment\n'])
    assignments()
  }
  return text
}
