import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { literal, parse } from '../support/parse-python.ts'

describe('a Python literal', () => {
  it('may be a string with any quotes, prefix and escapes', () => {
    assert.equal(literal(`'a"b'`), 'a"b')
    assert.equal(literal(`"it's"`), "it's")
    assert.equal(literal(`'it\\'s'`), "it's")
    assert.equal(literal(`'''a'b\n"c"'''`), 'a\'b\n"c"')
    assert.equal(literal(`"""x""y"""`), 'x""y')
    assert.equal(literal(`''`), '')
    assert.equal(literal(`''''''`), '')
    for (const prefix of ['u', 'U', 'b', 'B']) assert.equal(literal(`${prefix}'a\\n'`), 'a\n')
    for (const prefix of ['r', 'R', 'ur', 'UR', 'Ur', 'uR', 'br', 'bR'])
      assert.equal(literal(`${prefix}'a\\n\\''`), "a\\n\\'")
    assert.equal(literal(String.raw`'\a\b\f\n\r\t\v\\\"\'\101\7\x41\q'`), `\x07\b\f\n\r\t\v\\"'A\x07A\\q`)
    assert.equal(literal(`'one \\\ntwo'`), 'one two')
    assert.equal(literal(`'# no; comment = 1'`), '# no; comment = 1')
  })

  it('takes the bytes of a str as UTF-8 and the escapes of a unicode as characters', () => {
    assert.equal(literal(`'é'`), 'é')
    assert.equal(literal(String.raw`'\xc3\xa9\303\251'`), 'éé')
    assert.equal(literal(String.raw`'\xc3' '\xa9'`), 'é')
    assert.equal(literal(String.raw`u'é\xe9\u20ac\U0001f600\ud83d\ude00'`), 'éé€😀😀')
    assert.equal(literal(String.raw`'\u20ac\N{DASH}'`), String.raw`\u20ac\N{DASH}`)
    assert.equal(literal(String.raw`ur'\u20ac\\u20ac\n'`), String.raw`€\\u20ac\n`)
  })

  it('is joined from adjacent strings', () => {
    assert.equal(literal(`'a' "b" u'c'`), 'abc')
    assert.equal(literal(`('a'\n  'b' # comment\n  r'\\c')`), 'ab\\c')
    assert.equal(literal(`'a' \\\n 'b'`), 'ab')
  })

  it('may be a number, exact for integers', () => {
    assert.equal(literal('0'), 0)
    assert.equal(literal('-12'), -12)
    assert.equal(literal('+3'), 3)
    assert.equal(literal('0x1F'), 31)
    assert.equal(literal('0777'), 511)
    assert.equal(literal('0o17'), 15)
    assert.equal(literal('0b101L'), 5)
    assert.equal(literal('12L'), 12)
    assert.equal(literal('9007199254740993'), 9007199254740993n)
    assert.equal(literal('1.5'), 1.5)
    assert.equal(literal('.5'), 0.5)
    assert.equal(literal('-1e3'), -1000)
  })

  it('may be True, False, None, a list, a tuple or a dictionary, nested and over several lines', () => {
    assert.deepEqual(literal('[True, False, None,]'), [true, false, null])
    assert.deepEqual(literal('[]'), [])
    assert.deepEqual(literal('()'), [])
    assert.deepEqual(literal('(1)'), 1)
    assert.deepEqual(literal('(1,)'), [1])
    assert.deepEqual(literal('1, 2'), [1, 2])
    assert.deepEqual(literal('1,'), [1])
    assert.deepEqual(literal(`[\n 'a', # one ]\n\n\t"b"\n, ['c'], ]`), ['a', 'b', ['c']])
    assert.deepEqual(
      literal(`{'a': 1, 2: [3], 'b': {},}`),
      new Map<unknown, unknown>([
        ['a', 1],
        [2, [3]],
        ['b', new Map()],
      ]),
    )
  })

  it('is not guessed from anything else', () => {
    const others = [
      `'a' % 1`,
      `'a' + 'b'`,
      'f()',
      'a',
      '1 + 2',
      '[1 2]',
      '[,]',
      '(,)',
      '{1}',
      '{1: }',
      '1j',
      '089',
      '1__0',
      '- -1',
      '-True',
      "f'a'",
      "'a' if 1 else 2",
      '[x for x in y]',
      '',
      'lambda: 1',
      "'a'[0]",
      '1 2',
      `'\\x4'`,
      `u'\\u12'`,
      `u'\\N{DASH}'`,
      `u'\\ud800'`,
      `'\\xff'`,
      '`1`',
      `${'['.repeat(70)}${']'.repeat(70)}`,
      '9'.repeat(100_000),
    ]
    for (const text of others) {
      const { values, ignored, conflict } = parse(`x = ${text}\ny = 1\n`)
      assert.equal(conflict, undefined, text)
      assert.equal(values.has('x'), false, text)
      assert.equal(ignored.length, 1, text)
      assert.ok(values.has('y'), text)
    }
  })
})
