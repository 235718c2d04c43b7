import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RangeList } from '../../../core/extents/range-list.ts'
import { squash } from '../../../core/extents/squash.ts'

const chunk = (start: number, length: number, zero = false, physicalStart = 0) => ({
  start,
  length,
  zero,
  physicalStart,
})

describe('squashing chunks', () => {
  it('joins neighbours of one kind and keeps the first place', () => {
    const squashed = [...squash([chunk(0, 4, false, 70), chunk(4, 4, false, 10), chunk(9, 1)])]
    assert.deepEqual(squashed, [chunk(0, 8, false, 70), chunk(9, 1)])
  })

  it('never joins data with zero', () => {
    const chunks = [chunk(0, 4), chunk(4, 4, true), chunk(8, 4, true), chunk(12, 1)]
    assert.deepEqual([...squash(chunks)], [chunk(0, 4), chunk(4, 8, true), chunk(12, 1)])
  })

  it('gives nothing for nothing, and the same again when iterated again', () => {
    assert.deepEqual([...squash([])], [])
    const twice = squash([chunk(0, 4), chunk(4, 4)])
    assert.deepEqual([...twice], [...twice])
  })
})

describe('a list of ranges', () => {
  it('gives back what was put in, past its first capacity, and counts bytes by kind', () => {
    const list = new RangeList<'data' | 'zero'>(['data', 'zero'])
    for (let index = 0; index < 1000; index++) {
      list.push(index * 10, 5, index % 3 === 0 ? 'zero' : 'data', 2 ** 52 + index)
    }
    const all = [...list]
    assert.equal(all.length, 1000)
    assert.deepEqual(all[999], { start: 9990, length: 5, physicalStart: 2 ** 52 + 999, kind: 'zero' })
    assert.equal(list.bytesOf('zero'), 334 * 5)
    assert.equal(list.bytesOf('data'), 666 * 5)
  })
})
