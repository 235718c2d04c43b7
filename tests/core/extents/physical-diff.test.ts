import assert from 'node:assert/strict'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { physicalDiff } from '../../../core/extents/physical-diff.ts'
import type { ChangedRange, Extent, ExtentBatch } from '../../../core/storage-backend.ts'

const BLOCK = 4096

/** Maps that a test writes down, over files with real bytes: what they say is then believed or checked. */
describe('a difference by physical addresses', () => {
  let folder = ''
  let base = ''
  let target = ''

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'diskferry-physical-diff-'))
    base = join(folder, 'base')
    target = join(folder, 'target')
  })
  after(() => rm(folder, { recursive: true }))

  const extent = (block: number, blocks: number, place: number): Extent => ({
    start: block * BLOCK,
    length: blocks * BLOCK,
    physicalStart: place * BLOCK,
    unwritten: false,
  })

  async function run(maps: (file: string, reading: number) => readonly Extent[]) {
    const readings = new Map<string, number>()
    async function* extentMap(file: string): AsyncGenerator<ExtentBatch> {
      const reading = (readings.get(file) ?? 0) + 1
      readings.set(file, reading)
      const extents = maps(file, reading)
      for (let at = 0; at < extents.length; at += 2) yield extents.slice(at, at + 2)
    }
    const result = await physicalDiff({ base, target, extentMap }, {})
    const ranges: ChangedRange[] = []
    for await (const batch of result.ranges) ranges.push(...batch)
    return { ...result, ranges, readings }
  }

  it('reads each map twice and no content when nothing moves', async () => {
    await writeFile(base, Buffer.alloc(4 * BLOCK, 1))
    await writeFile(target, Buffer.alloc(4 * BLOCK, 1))
    const { method, fallbackReason, ranges, readings } = await run((file) =>
      file === base ? [extent(0, 4, 10)] : [extent(0, 2, 10), extent(2, 2, 50)],
    )
    assert.equal(method, 'physical')
    assert.equal(fallbackReason, undefined)
    assert.deepEqual(ranges, [
      { start: 2 * BLOCK, length: 2 * BLOCK, kind: 'data', physicalStart: 50 * BLOCK },
    ])
    assert.deepEqual([...readings.values()], [2, 2])
  })

  it('is not misled when a block moves away and its place is given to other data in between', async () => {
    await writeFile(base, Buffer.alloc(2 * BLOCK, 1))
    await writeFile(target, Buffer.alloc(2 * BLOCK, 2))
    // First reading: both at place 10. Before the second one the base turns out to live elsewhere by now.
    const { ranges } = await run((file, reading) =>
      file === base && reading > 1 ? [extent(0, 2, 77)] : [extent(0, 2, 10)],
    )
    assert.deepEqual(
      ranges.map(({ start, length }) => [start, length]),
      [[0, 2 * BLOCK]],
    )
  })

  for (const mover of ['base', 'target'] as const) {
    it(`falls back to content when blocks of the ${mover} move at every reading`, async () => {
      const content = Buffer.alloc(4 * BLOCK, 1)
      await writeFile(base, content)
      content.fill(9, BLOCK, 2 * BLOCK)
      content.fill(0, 3 * BLOCK)
      await writeFile(target, content)
      const { method, fallbackReason, ranges } = await run((file, reading) => [
        extent(0, 4, file.endsWith(mover) ? 10 + 100 * reading : 10),
      ])
      assert.equal(method, 'content')
      assert.match(fallbackReason ?? '', /blocks kept moving/)
      assert.deepEqual(ranges, [
        { start: BLOCK, length: BLOCK, kind: 'data' },
        { start: 3 * BLOCK, length: BLOCK, kind: 'zero' },
      ])
    })
  }

  it('does not take a different splitting of the same blocks for a move', async () => {
    await writeFile(base, Buffer.alloc(4 * BLOCK, 1))
    await writeFile(target, Buffer.alloc(4 * BLOCK, 1))
    const { method, readings } = await run((_, reading) =>
      reading === 1 ? [extent(0, 4, 10)] : [extent(0, 1, 10), extent(1, 2, 11), extent(3, 1, 13)],
    )
    assert.equal(method, 'physical')
    assert.deepEqual([...readings.values()], [2, 2])
  })

  it('compares by content only what has no address, and says so', async () => {
    await writeFile(base, Buffer.alloc(6 * BLOCK, 1))
    const content = Buffer.alloc(6 * BLOCK, 1)
    content[2 * BLOCK + 17] = 5
    content.fill(3, 5 * BLOCK)
    await writeFile(target, content)
    const encoded: Extent = {
      start: BLOCK,
      length: 3 * BLOCK,
      physicalStart: null,
      unwritten: false,
      opaque: 'encoded',
    }
    const { method, fallbackReason, ranges } = await run((file) => [
      extent(0, 1, 10),
      encoded,
      extent(4, 1, 14),
      extent(5, 1, file === base ? 15 : 99),
    ])
    assert.equal(method, 'physical')
    assert.match(fallbackReason ?? '', /^12288 bytes were compared by content, their extents being encoded$/)
    assert.deepEqual(
      ranges.map(({ start, length, kind }) => [start, length, kind]),
      [
        [2 * BLOCK, BLOCK, 'data'],
        [5 * BLOCK, BLOCK, 'data'],
      ],
    )
  })

  it('handles a target of an odd size that grew past an odd end of the base', async () => {
    await writeFile(base, Buffer.alloc(5000, 1))
    await writeFile(target, Buffer.alloc(5000, 1))
    await truncate(target, 9001)
    const map = (size: number): Extent => ({ start: 0, length: size, physicalStart: 40960, unwritten: false })
    const { ranges } = await run((file) => [map(file === base ? 5000 : 8192)])
    assert.deepEqual(ranges, [{ start: 5000, length: 3192, kind: 'data', physicalStart: 45960 }])
  })
})
