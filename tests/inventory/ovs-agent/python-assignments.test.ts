import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { Random } from '../../support/random.ts'
import { conflictIn, NEEDED, parse, plain, tagged } from '../support/parse-python.ts'
import { python } from '../support/python.ts'

describe('a file of assignments', () => {
  it('may have comments, blank lines, continued lines, semicolons, a byte order mark and any line ends', () => {
    const lines = [
      '# comment',
      '',
      'a = 1; b = 2 ; ',
      'c = \\',
      '  3 # end',
      'd=4',
      '\t',
      "e = '''x",
      "y'''",
      'f = 6',
    ]
    for (const end of ['\n', '\r\n', '\r']) {
      const { values, ignored } = parse(`\ufeff${lines.join(end)}`)
      assert.deepEqual(
        [...values].map(([name, { value, line }]) => [name, plain(value), line]),
        [
          ['a', 1, 3],
          ['b', 2, 3],
          ['c', 3, 4],
          ['d', 4, 6],
          ['e', 'x\ny', 8],
          ['f', 6, 10],
        ],
      )
      assert.deepEqual(ignored, [])
    }
  })

  it('gives a name its last value and adds to lists', () => {
    const { values } = parse(`disk = ['a']\nname = 'x'\ndisk += ['b', 'c']\ndisk += ('d',)\nname = 'y'\n`)
    assert.deepEqual(plain(values.get('disk')!.value), ['a', 'b', 'c', 'd'])
    assert.equal(plain(values.get('name')!.value), 'y')
  })

  it('may have other statements, which are passed over to their logical end', () => {
    const source = [
      'import os, re',
      'from os import path',
      `extra = "root=%s" % 'x'`,
      'print("disk")',
      'vcpus = len([',
      '  1, # ]',
      '])',
      'if vcpus > 1:',
      '    memory = 512',
      'else: memory = 256',
      'def f(x):',
      '  """doc"""',
      '  return x',
      'vif = dict(name = 1, disk=2)',
      'x.disk = 3',
      'broken = $',
      `quote = 'it's`,
      `name = 'vm'`,
    ]
    const { values, ignored, conflict } = parse(source.join('\n'))
    assert.equal(conflict, undefined)
    assert.deepEqual([...values.keys()], ['name'])
    assert.deepEqual(
      ignored.map(({ line }) => line),
      [1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17],
    )
  })

  it('is in conflict where a needed name may get a value that is not known', () => {
    const sources = [
      'disk = f()',
      'disk = ',
      "disk = ['a' % 1]",
      'disk += [x]',
      'disk += [1]',
      "disk.append('x')",
      "disk.extend(['x'])",
      "disk[0] = 'x'",
      'disk *= 2',
      'del disk',
      'del disk[0]',
      'x = disk = []',
      'disk = x = []',
      'disk, x = [], 1',
      '(disk) = []',
      '[disk, x] = 1, 2',
      'for disk in []: pass',
      'import disk',
      'import x as disk',
      'from x import disk',
      'from x import *',
      'with x as disk: pass',
      'def disk(): pass',
      'class disk: pass',
      'if x: disk = []',
      'else: disk = []',
      'if x: pass; disk = []',
      'if x:\n  disk = []',
      '  disk = []',
      "exec 'x'",
      "execfile('x')",
      "globals()['disk'] = 1",
      'x = [disk for disk in y]',
      'name = 1 +',
      'uuid = u"\\x4"',
      'OVM_simple_name = "\\xff"',
      'x = $ disk = []',
      "x = 'a ; disk = []",
    ]
    for (const source of sources)
      assert.equal(conflictIn(`\n${source}\n`)?.line, source.includes('\n') ? 3 : 2, source)
  })

  it('is in conflict as a whole where its lines cannot be told apart', () => {
    assert.deepEqual(conflictIn(`a = 1\nx = '''never closed\ndisk = []\n`), {
      line: 2,
      reason: 'a triple-quoted string is never closed',
    })
    assert.deepEqual(conflictIn(`vif = ['a'\ndisk = []\n`), { line: 1, reason: 'a ] is missing' })
    assert.deepEqual(conflictIn(`vif = ['a\n]\n`), { line: 1, reason: 'a string is not closed on its line' })
    assert.deepEqual(conflictIn('x = ]\n'), { line: 1, reason: 'there is a ] that closes nothing' })
    assert.deepEqual(conflictIn('x = (]\n'), { line: 1, reason: 'there is a ] that closes nothing' })
    assert.equal(conflictIn(`vif = ['a'\ndisk = ['b']\n]\n`)?.line, 1)
    assert.equal(conflictIn(`vif = f('a',\ndisk = ['b']\n)\n`)?.line, 1)
    assert.equal(conflictIn('x = [1; y = 2]\n')?.line, 1)
    assert.match(conflictIn(Buffer.from('disk = []', 'utf16le').toString())?.reason ?? '', /NUL/)
  })

  it('agrees with Python 2 on each name it gives a value', async () => {
    // Random programs and what Python 2.7.18 found in the needed names after it ran them.
    const lines = await readFile(new URL('python-2-programs.ndjson', import.meta.url), 'utf8')
    let agreed = 0
    for (const line of lines.trim().split('\n')) {
      const [source, expected] = JSON.parse(line) as [string, Record<string, unknown>]
      const { values, conflict } = parse(Buffer.from(source, 'latin1'))
      if (conflict !== undefined) continue
      const found = [...values]
        .filter(([name]) => NEEDED.has(name))
        .map(([name, { value }]) => [name, tagged(value)])
      assert.deepEqual(Object.fromEntries(found), numbersAsText(expected), source)
      agreed += 1
    }
    assert.ok(agreed > 150, `${agreed} programs without conflict`)
  })

  it('agrees with Python 3 where both Pythons mean the same', async () => {
    const random = new Random(11)
    const literals = Array.from({ length: 300 }, () => randomLiteral(random, 0))
    const script = `
import ast
def tag(v):
    if v is None or isinstance(v, bool): return v
    if isinstance(v, (int, float)): return ['n', repr(v)]
    if isinstance(v, str): return ['s', v.encode().hex()]
    return (['l'] if isinstance(v, list) else ['t']) + [tag(i) for i in v]
print(json.dumps([tag(ast.literal_eval(text)) for text in request]))
`
    const expected = JSON.parse(await python(script, literals)) as unknown[]
    for (const [index, text] of literals.entries()) {
      const value = parse(`x = ${text}\n`).values.get('x')?.value
      assert.deepEqual(value === undefined ? undefined : tagged(value), expected[index], text)
    }
  })

  it('is read or in conflict in a short time, whatever it repeats', () => {
    const size = 1024 * 1024
    const pieces = [
      '[',
      "'",
      '"""',
      '\\\n',
      ' ',
      '#',
      'a=1;',
      "u'\\\\",
      '(',
      '0',
      'a',
      ']',
      '\\',
      "'\\'",
      'disk=[',
      '$',
      "'a'\n",
      '.',
      '+=',
      'if x:',
      'a:',
      'disk,',
      'for ',
      "'a'",
      'x=1\n',
    ]
    for (const piece of pieces) {
      for (const start of ['', 'x = [', 'x = ']) {
        const began = performance.now()
        parse(start + piece.repeat(size / piece.length))
        const took = performance.now() - began
        assert.ok(took < 5000, `${took} ms for ${JSON.stringify(start + piece)}`)
      }
    }
  })

  it('is read without a fault, whatever bytes it holds', () => {
    const random = new Random(13)
    const base = Buffer.from(
      `name = 'a'\nuuid = u"b"\ndisk = ['file:/x,xvda,w', # c\n r'''d''']\nif x: y = {1: (2,)}\n`,
    )
    for (let round = 0; round < 3000; round += 1) {
      const source = Buffer.from(base)
      for (let change = random.between(1, 8); change > 0; change -= 1) {
        source[random.between(0, source.length - 1)] = random.chance(0.5)
          ? random.between(0, 255)
          : random.pick([...Buffer.from('\'"[](){}\\\n#;,=.')])
      }
      const { values, ignored, conflict } = parse(source)
      assert.ok(conflict !== undefined || values.size + ignored.length > 0, source.toString('latin1'))
    }
  })
})

function numbersAsText(value: unknown): unknown {
  if (Array.isArray(value))
    return value[0] === 'n' ? ['n', String(Number(value[1]))] : value.map(numbersAsText)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, numbersAsText(item)]))
}

const SHARED_LITERALS = [
  "'a'",
  '"b\'c"',
  "u'\\xe9\\u20ac'",
  "'it\\'s'",
  "r'\\d'",
  "'''t\nq'''",
  '"""x"y"""',
  "'a' 'b'",
  "'\\101\\t\\\\'",
  'True',
  'False',
  'None',
  '0',
  '12',
  '-3',
  '0x1f',
  '0b11',
  '1.5',
  "'file:/OVS/x.img,xvda,w'",
  "'#[;'",
]

function randomLiteral(random: Random, depth: number): string {
  if (depth > 3 || random.chance(0.4)) return random.pick(SHARED_LITERALS)
  const items = Array.from({ length: random.between(0, 4) }, () => randomLiteral(random, depth + 1))
  const separator = random.pick([', ', ',', ',\n  ', ', # ] comment\n'])
  const trailing = items.length === 1 || (items.length > 0 && random.chance(0.3)) ? ',' : ''
  return random.chance(0.6)
    ? `[${items.join(separator)}${trailing}]`
    : `(${items.join(separator)}${trailing})`
}
