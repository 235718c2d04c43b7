import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type MergedRange, mergeMaps } from '../../../core/extents/merge-maps.ts'
import type { Extent, ExtentBatch } from '../../../core/storage-backend.ts'
import { Random } from '../../support/random.ts'

async function* inBatches(extents: readonly Extent[], size: number): AsyncGenerator<ExtentBatch> {
  for (let at = 0; at < extents.length; at += size) yield extents.slice(at, at + size)
}

async function merge(
  base: readonly Extent[],
  target: readonly Extent[],
  baseSize: number,
  targetSize: number,
  batch = 3,
): Promise<MergedRange[]> {
  const ranges: MergedRange[] = []
  const input = { base: inBatches(base, batch), target: inBatches(target, batch), baseSize, targetSize }
  for await (const merged of mergeMaps(input)) ranges.push(...merged)
  return ranges
}

const plain = (start: number, length: number, physicalStart: number): Extent => ({
  start,
  length,
  physicalStart,
  unwritten: false,
})
const unwritten = (start: number, length: number, physicalStart: number): Extent => ({
  start,
  length,
  physicalStart,
  unwritten: true,
})
const opaque = (start: number, length: number): Extent => ({
  start,
  length,
  physicalStart: null,
  unwritten: false,
  opaque: 'inline',
})

function brief(ranges: readonly MergedRange[]): string[] {
  return ranges.map(({ start, length, kind }) => `${kind} ${start}+${length}`)
}

describe('merging two maps', () => {
  it('finds nothing where one extent became three at the same place', async () => {
    const target = [plain(0, 10, 100), plain(10, 5, 110), plain(15, 5, 115)]
    assert.deepEqual(await merge([plain(0, 20, 100)], target, 20, 20), [])
  })

  it('reports what moved as data, with its new place', async () => {
    const ranges = await merge([plain(0, 30, 100)], [plain(0, 10, 100), plain(10, 20, 900)], 30, 30)
    assert.deepEqual(ranges, [{ start: 10, length: 20, kind: 'data', physicalStart: 900, reason: '' }])
  })

  it('reports a discarded range as zero, which a walk over the target alone would miss', async () => {
    assert.deepEqual(brief(await merge([plain(0, 30, 100)], [plain(0, 10, 100)], 30, 30)), ['zero 10+20'])
  })

  it('reports written and now unwritten as zero, even at the same place', async () => {
    assert.deepEqual(brief(await merge([plain(0, 8, 100)], [unwritten(0, 8, 100)], 8, 8)), ['zero 0+8'])
  })

  it('reports unwritten and now written as data, even at the same place', async () => {
    assert.deepEqual(brief(await merge([unwritten(0, 8, 100)], [plain(0, 8, 100)], 8, 8)), ['data 0+8'])
  })

  it('finds nothing where unwritten became a hole, or a hole unwritten', async () => {
    assert.deepEqual(await merge([unwritten(0, 8, 100)], [unwritten(8, 8, 300)], 16, 16), [])
  })

  it('leaves to a comparison what either side gives no address for', async () => {
    const ranges = await merge([plain(0, 8, 100), opaque(8, 8)], [opaque(0, 8), plain(8, 8, 5)], 16, 16)
    assert.deepEqual(brief(ranges), ['compare 0+8', 'compare 8+8'])
    assert.deepEqual([...new Set(ranges.map(({ reason }) => reason))], ['inline'])
  })

  it('reports data beyond the older end, at the old place too, and holes there not at all', async () => {
    const ranges = await merge([plain(0, 10, 100)], [plain(0, 16, 100), unwritten(20, 5, 50)], 10, 40)
    assert.deepEqual(brief(ranges), ['data 10+6'])
  })

  it('stops at the end of a target that shrank', async () => {
    assert.deepEqual(await merge([plain(0, 30, 100)], [plain(0, 10, 100)], 30, 10), [])
  })

  it('agrees with a byte by byte judgement of random maps', async () => {
    for (let seed = 1; seed <= 400; seed++) {
      const random = new Random(seed)
      const [baseSize, targetSize] = [random.between(0, 60), random.between(0, 60)]
      const base = randomMap(random, baseSize)
      const target = randomMap(random, targetSize)
      const ranges = await merge(base, target, baseSize, targetSize, random.between(1, 4))
      assert.deepEqual(
        spread(ranges, targetSize),
        judgeBytes(base, target, baseSize, targetSize),
        `seed ${seed}`,
      )
    }
  })
})

/** Few places, so that equal ones are common. */
function randomMap(random: Random, size: number): Extent[] {
  const extents: Extent[] = []
  for (let at = random.between(0, 4); at < size; ) {
    const length = Math.min(random.between(1, 9), size - at)
    const kind = random.weighted({ plain: 6, unwritten: 2, opaque: 1 })
    const place = at + random.pick([0, 0, 0, 100, 200])
    if (kind === 'plain') extents.push(plain(at, length, place))
    else if (kind === 'unwritten') extents.push(unwritten(at, length, place))
    else extents.push(opaque(at, length))
    at += length + random.pick([0, 0, 1, 5])
  }
  return extents
}

function spread(ranges: readonly MergedRange[], size: number): string[] {
  const bytes = new Array<string>(size).fill('same')
  for (const { start, length, kind } of ranges) bytes.fill(kind, start, start + length)
  return bytes
}

function judgeBytes(
  base: readonly Extent[],
  target: readonly Extent[],
  baseSize: number,
  size: number,
): string[] {
  const at = (map: readonly Extent[], byte: number) =>
    map.find(({ start, length }) => byte >= start && byte < start + length)
  const stateOf = (extent: Extent | undefined, byte: number): string => {
    if (extent === undefined || extent.unwritten) return 'zeros'
    return extent.physicalStart === null ? 'opaque' : `at ${extent.physicalStart + byte - extent.start}`
  }
  return Array.from({ length: size }, (_, byte) => {
    const was = byte < baseSize ? stateOf(at(base, byte), byte) : 'zeros'
    const is = stateOf(at(target, byte), byte)
    if (is === 'zeros') return was === 'zeros' ? 'same' : 'zero'
    if (was === 'zeros') return 'data'
    if (was === 'opaque' || is === 'opaque') return 'compare'
    return was === is ? 'same' : 'data'
  })
}
