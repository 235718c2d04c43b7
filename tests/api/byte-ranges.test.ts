import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MAX_RANGES, selectByteRanges } from '../../api/byte-ranges.ts'
import { seededRandom } from './support/random.ts'

/** `start+length` of each range, or `refused`. */
function select(header: string, size: number): string {
  const selection = selectByteRanges(header, size)
  if (!selection.satisfiable) return 'refused'
  return selection.ranges.map(({ start, length }) => `${start}+${length}`).join(' ')
}

/**
 * The same, by other means: the grammar of RFC 9110 as one regular expression, and sets of byte positions.
 * Only for small sizes.
 */
function oracle(header: string, size: number): string {
  const spec = '(?:[0-9]+-[0-9]*|-[0-9]+)'
  const grammar = new RegExp(`^[bB][yY][tT][eE][sS]=(?:${spec})?(?:[ \\t]*,[ \\t]*(?:${spec})?)*$`)
  if (!grammar.test(header)) return 'refused'
  const specs = header.slice(6).match(new RegExp(spec, 'g')) ?? []
  if (specs.length > 256) return 'refused'
  const positions = Array.from({ length: size }, (_, position) => BigInt(position))
  const found: bigint[][] = []
  for (const one of specs) {
    const [first, last] = one.split('-').map((digits) => (digits === '' ? undefined : BigInt(digits)))
    if (first !== undefined && last !== undefined && first > last) return 'refused'
    found.push(
      positions.filter((position) =>
        first === undefined
          ? position >= BigInt(size) - last!
          : position >= first && (last === undefined || position <= last),
      ),
    )
  }
  const satisfiable = found.filter((range) => range.length > 0)
  const total = satisfiable.reduce((sum, range) => sum + range.length, 0)
  if (satisfiable.length === 0 || total > size) return 'refused'
  return satisfiable.map((range) => `${range[0]}+${range.length}`).join(' ')
}

describe('selectByteRanges()', () => {
  it('serves first-last, first- and -suffix, cut at the end', () => {
    assert.equal(select('bytes=0-0', 10), '0+1')
    assert.equal(select('bytes=2-4', 10), '2+3')
    assert.equal(select('bytes=9-9', 10), '9+1')
    assert.equal(select('bytes=5-99', 10), '5+5')
    assert.equal(select('bytes=7-', 10), '7+3')
    assert.equal(select('bytes=-3', 10), '7+3')
    assert.equal(select('bytes=-30', 10), '0+10')
    assert.equal(select('BYTES=007-008', 10), '7+2')
  })

  it('serves what is satisfiable of several, in their order', () => {
    assert.equal(select('bytes=8-9,0-1', 10), '8+2 0+2')
    assert.equal(select('bytes=0-1, 50-60 ,-2', 10), '0+2 8+2')
    assert.equal(select('bytes=,, 0-1\t,\t,4-5 ,', 10), '0+2 4+2')
  })

  it('refuses what no byte satisfies', () => {
    for (const header of ['bytes=10-', 'bytes=10-20', 'bytes=-0', 'bytes=11-,-0']) {
      assert.equal(select(header, 10), 'refused', header)
    }
    for (const header of ['bytes=0-', 'bytes=0-0', 'bytes=-1', 'bytes=-0']) {
      assert.equal(select(header, 0), 'refused', header)
    }
  })

  it('refuses what is malformed, whole', () => {
    for (const header of [
      '',
      'bytes',
      'bytes=',
      'bytes=,',
      'bytes=-',
      'bytes=1',
      'bytes=5-4',
      'bytes=0-1,5-4',
      'bytes=0-1,x',
      'bytes= 0-1',
      'bytes=0-1 ',
      'bytes=0 -1',
      'bytes=0- 1',
      'bytes =0-1',
      ' bytes=0-1',
      'bytes:0-1',
      'items=0-1',
      'bytes=+0-1',
      'bytes=0-+1',
      'bytes=--1',
      'bytes=0-1-2',
      'bytes=0x0-1',
      'bytes=0-1;2-3',
      'bytes=1e0-2',
      'bytes=٠-١',
      'bytes=0-1,bytes=3-4',
    ]) {
      assert.equal(select(header, 10), 'refused', header)
    }
  })

  it('handles numbers beyond 2^53 exactly', () => {
    const large = Number.MAX_SAFE_INTEGER
    assert.equal(select('bytes=9007199254740990-99999999999999999999', large), '9007199254740990+1')
    assert.equal(select('bytes=-99999999999999999999', large), `0+${large}`)
    assert.equal(select(`bytes=0-${'9'.repeat(1000)}`, 10), '0+10')
    assert.equal(select('bytes=9007199254740991-', large), 'refused')
    assert.equal(select('bytes=99999999999999999999-', large), 'refused')
    assert.equal(select('bytes=0-1,1152921504606846977-1152921504606846976', large), 'refused')
  })

  it(`serves ${MAX_RANGES} ranges and refuses one more`, () => {
    const ranges = (count: number) => Array.from({ length: count }, (_, index) => `${index * 2}-${index * 2}`)
    assert.equal(select(`bytes=${ranges(MAX_RANGES).join(',')}`, 1000).split(' ').length, MAX_RANGES)
    assert.equal(select(`bytes=${ranges(MAX_RANGES + 1).join(',')}`, 1000), 'refused')
  })

  it('refuses ranges that together hold more bytes than the disk', () => {
    assert.equal(select('bytes=0-,0-0', 10), 'refused')
    assert.equal(select('bytes=0-4,5-9', 10), '0+5 5+5')
    assert.equal(select('bytes=0-4,0-4', 10), '0+5 0+5')
  })

  it('tells the reason', () => {
    const selection = selectByteRanges('bytes=0-1,oops', 10)
    assert.ok(!selection.satisfiable)
    assert.match(selection.reason, /"oops"/)
  })

  it('agrees with the grammar on random headers', () => {
    const random = seededRandom(20240229)
    const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!
    const number = () =>
      pick(['0', '1', '2', '3', '5', '8', '11', '12', '13', '40', '00', '99999999999999999999'])
    const spec = () =>
      pick([
        () => `${number()}-${number()}`,
        () => `${number()}-`,
        () => `-${number()}`,
        () => '',
        () => pick(['-', 'x', '1', '1--2', '+1-2', ' ', '1 -2', '-1-']),
      ])()
    let served = 0
    for (let round = 0; round < 20_000; round += 1) {
      const size = Math.floor(random() * 14)
      const count = 1 + Math.floor(random() * 4)
      let header = pick(['bytes=', 'bytes=', 'bytes=', 'Bytes=', 'byte=', 'bytes = '])
      for (let index = 0; index < count; index += 1) {
        if (index > 0) header += pick([',', ',', ', ', ' ,', '\t,\t', ';'])
        header += random() < 0.9 ? `${number()}-${random() < 0.8 ? number() : ''}` : spec()
      }
      const expected = oracle(header, size)
      assert.equal(select(header, size), expected, `${JSON.stringify(header)} of ${size}`)
      if (expected !== 'refused') served += 1
    }
    assert.ok(served > 2000, `only ${served} headers were satisfiable`)
  })
})
