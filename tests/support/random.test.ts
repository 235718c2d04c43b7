import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random, seedsFrom } from './random.ts'

test('the same seed gives the same sequence, and another seed another one', () => {
  const draw = (seed: number) => {
    const random = new Random(seed)
    return Array.from({ length: 8 }, () => random.next())
  }
  assert.deepEqual(draw(7), draw(7))
  assert.notDeepEqual(draw(7), draw(8))
})

test('numbers stay in their bounds and reach both', () => {
  const random = new Random(1)
  const drawn = new Set(Array.from({ length: 1000 }, () => random.between(3, 9)))
  assert.deepEqual([...drawn].sort(), [3, 4, 5, 6, 7, 8, 9])
  for (let count = 0; count < 1000; count += 1) {
    const size = random.magnitude(1, 1 << 20)
    assert.ok(size >= 1 && size <= 1 << 20)
  }
})

test('every bit of a number and of bytes is set about half of the time', () => {
  const random = new Random(2)
  const ones = new Array<number>(32).fill(0)
  for (let count = 0; count < 4000; count += 1) {
    const value = random.next()
    for (let bit = 0; bit < 32; bit += 1) ones[bit]! += (value >>> bit) & 1
  }
  for (const count of ones) assert.ok(count > 1800 && count < 2200, `${count} of 4000`)
  assert.equal(random.bytes(4099).length, 4099)
})

test('drawing from a fork leaves the first generator where it was', () => {
  const first = new Random(5)
  const second = new Random(5)
  first.fork('a').next()
  assert.equal(first.next(), second.next())
  assert.notEqual(first.fork('a').next(), first.fork('b').next())
})

test('weights decide how often a name is drawn', () => {
  const random = new Random(3)
  const drawn = Array.from({ length: 1000 }, () => random.weighted({ often: 9, seldom: 1, never: 0 }))
  const often = drawn.filter((name) => name === 'often').length
  assert.ok(often > 850 && often < 950)
  assert.ok(!drawn.includes('never'))
})

test('seeds are read as numbers and ranges, and a typing error is refused', () => {
  assert.deepEqual(seedsFrom(undefined, '1-3'), [1, 2, 3])
  assert.deepEqual(seedsFrom('7,9-10', '1-3'), [7, 9, 10])
  for (const wrong of ['', 'x', '3-1', '1-', '1..3'])
    assert.throws(() => seedsFrom(wrong, '1'), /neither a seed/)
})
