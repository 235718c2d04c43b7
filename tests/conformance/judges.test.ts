/** The oracles themselves, on answers whose truth is known. */

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { ChangedRange, Extent } from 'diskferry/core'
import { content } from '../../conformance/guest/content.ts'
import { parseFilefrag } from '../../conformance/oracle/addresses.ts'
import { judgeDifference } from '../../conformance/oracle/judge-difference.ts'
import { judgeMap } from '../../conformance/oracle/judge-map.ts'
import { rangeOrderProblem } from '../../conformance/oracle/range-order.ts'
import { firstUncovered, sameAddress } from '../../conformance/oracle/same-address.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const MIB = 1024 * 1024

describe('what a disk is filled with', () => {
  it('follows from place and generation, has no zeros, and differs between places and generations', () => {
    const bytes = content(1000, 100_000, 1)
    assert.deepEqual(content(5000, 50, 1), bytes.subarray(4000, 4050))
    assert.ok(!bytes.includes(0))
    const other = content(1000, 100_000, 2)
    let equal = 0
    for (let index = 0; index < bytes.length; index++) if (bytes[index] === other[index]) equal++
    assert.ok(equal < 1000, `${equal} equal bytes`)
    assert.ok(!content(0, 4096, 1).equals(content(1024 * 4095, 4096, 1)))
  })
})

describe('the order of ranges', () => {
  const of = (...ranges: readonly (readonly [number, number])[]) =>
    rangeOrderProblem(
      ranges.map(([start, length]) => ({ start, length })),
      100,
    )

  it('is right when they ascend, touch at most, and end with the file', () => {
    assert.equal(of(), undefined)
    assert.equal(of([0, 10], [10, 5], [20, 80]), undefined)
  })

  it('is wrong in each of the ways that the contract forbids', () => {
    assert.match(of([0, 0]) ?? '', /is empty/)
    assert.match(of([90, 11]) ?? '', /ends beyond the end/)
    assert.match(of([50, 10], [0, 10]) ?? '', /not ascending/)
    assert.match(of([0, 10], [9, 10]) ?? '', /overlaps/)
    assert.match(of([-1, 10]) ?? '', /not made of integers/)
    assert.match(of([0.5, 10]) ?? '', /not made of integers/)
    assert.match(of([0, Number.NaN]) ?? '', /not made of integers/)
  })
})

describe('the judge of differences', () => {
  async function verdict(base: Buffer, target: Buffer, ranges: readonly ChangedRange[]) {
    await using directory = await temporaryDirectory('judges')
    const files = ['base', 'target'].map((name) => join(directory.path, name)) as [string, string]
    await writeFile(files[0], base)
    await writeFile(files[1], target)
    return judgeDifference(...files, ranges)
  }
  const data = (start: number, length: number): ChangedRange => ({ start, length, kind: 'data' })
  const zero = (start: number, length: number): ChangedRange => ({ start, length, kind: 'zero' })
  const full = content(0, 3 * MIB + 5, 1)

  it('finds nothing wrong with the truth, nor with more than the truth', async () => {
    const changed = Buffer.from(full)
    changed.fill(7, 2 * MIB - 3, 2 * MIB + 3)
    const exact = await verdict(full, changed, [data(2 * MIB - 3, 6)])
    assert.deepEqual(exact, { problem: undefined, differingBytes: 8192, reportedBytes: 6 })
    assert.equal((await verdict(full, changed, [data(0, full.length)])).problem, undefined)
    assert.equal((await verdict(full, full, [])).problem, undefined)
  })

  it('finds one byte that is not covered, at the border of what it reads at once', async () => {
    const changed = Buffer.from(full)
    changed.fill(7, 2 * MIB - 3, 2 * MIB + 3)
    assert.match(
      (await verdict(full, changed, [data(2 * MIB - 3, 5)])).problem ?? '',
      /missed: byte 2097154 holds/,
    )
    assert.match(
      (await verdict(full, changed, [data(2 * MIB - 2, 5)])).problem ?? '',
      /missed: byte 2097149 holds/,
    )
  })

  it('finds data that is called zero, and zeros that are missed', async () => {
    const holed = Buffer.from(full)
    holed.fill(0, 5000, 6000)
    assert.equal((await verdict(full, holed, [zero(5000, 1000)])).problem, undefined)
    assert.match(
      (await verdict(full, holed, [zero(5000, 1001)])).problem ?? '',
      /at 5000 are called zero, but byte 6000/,
    )
    assert.match((await verdict(full, holed, [zero(5000, 999)])).problem ?? '', /byte 5999 reads as zero now/)
  })

  it('asks for data beyond the end of the base, and for no zeros there', async () => {
    const grown = Buffer.concat([full, Buffer.alloc(10_000), Buffer.from('x')])
    assert.match((await verdict(full, grown, [])).problem ?? '', /byte 3155733 holds/)
    assert.equal((await verdict(full, grown, [data(3_155_733, 1)])).problem, undefined)
    assert.equal((await verdict(grown, full, [])).problem, undefined)
  })
})

describe('the judge of maps', () => {
  async function problem(bytes: Buffer, extents: readonly Partial<Extent>[]) {
    await using directory = await temporaryDirectory('judges')
    const file = join(directory.path, 'disk')
    await writeFile(file, bytes)
    const whole = extents.map((extent) => ({
      start: 0,
      length: 1,
      physicalStart: 0,
      unwritten: false,
      ...extent,
    }))
    return judgeMap(file, whole)
  }
  const bytes = Buffer.concat([Buffer.alloc(2 * MIB), content(0, 5000, 1)])

  it('finds nothing wrong with a map that holds all data', async () => {
    assert.equal(await problem(bytes, [{ start: 2 * MIB, length: 5000 }]), undefined)
    assert.equal(await problem(bytes, [{ start: 0, length: bytes.length, physicalStart: null }]), undefined)
    assert.equal(await problem(Buffer.alloc(5000), []), undefined)
  })

  it('finds a gap of one byte, data that is called unwritten, and numbers that are none', async () => {
    assert.match(
      (await problem(bytes, [{ start: 2 * MIB + 1, length: 4999 }])) ?? '',
      /byte 2097152 holds data, and no extent/,
    )
    assert.match(
      (await problem(bytes, [{ start: 2 * MIB, length: 5000, unwritten: true }])) ?? '',
      /is called unwritten/,
    )
    assert.match(
      (await problem(bytes, [{ start: 0, length: 5, physicalStart: -1 }])) ?? '',
      /physical start -1/,
    )
  })
})

describe('addresses', () => {
  it('are read from what filefrag prints, with those that mean nothing left out', () => {
    const text = `Filesystem type is: 58465342
File size of a is 4194305 (4198400 blocks of 1 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0..   40959:      98304..    139263:  40960:             shared
   1:    40960..   49151:    2301952..   2310143:   8192:     139264:
   2:  1048576.. 2097151:    1146880..   2195455: 1048576:             unwritten
   3:  4194304.. 4198399:          0..      4095:   4096:             last,not_aligned,inline,eof
a: 3 extents found`
    assert.deepEqual(parseFilefrag(text), [
      { start: 0, length: 40_960, physicalStart: 98_304, unwritten: false },
      { start: 40_960, length: 8192, physicalStart: 2_301_952, unwritten: false },
      { start: 1_048_576, length: 1_048_576, physicalStart: 1_146_880, unwritten: true },
      { start: 4_194_304, length: 4096, physicalStart: null, unwritten: false },
    ])
  })

  it('are compared by range, however the extents are cut', () => {
    const at = (start: number, length: number, physicalStart: number | null) => ({
      start,
      length,
      physicalStart,
      unwritten: false,
    })
    const left = [at(0, 100, 1000), at(200, 100, 5000)]
    const right = [at(0, 30, 1000), at(30, 30, 9030), at(60, 50, 1060), at(200, 50, null), at(250, 50, 5050)]
    assert.deepEqual(sameAddress(left, right), [
      { start: 0, length: 30 },
      { start: 60, length: 40 },
      { start: 250, length: 50 },
    ])
    assert.equal(firstUncovered(left, [{ start: 0, length: 99 }]), 99)
    assert.equal(
      firstUncovered(left, [
        { start: 0, length: 50 },
        { start: 50, length: 300 },
      ]),
      undefined,
    )
  })
})
