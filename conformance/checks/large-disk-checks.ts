import assert from 'node:assert/strict'
import { open, unlink } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import { type ChangedRange, type Extent, systemCode } from 'diskferry/core'
import type { Check } from '../check.ts'
import type { CheckContext } from '../check-context.ts'
import type { Disk } from '../guest/disk.ts'
import { rewriteFragments } from '../guest/fragments.ts'
import { RangeWalk, type Region } from '../oracle/regions.ts'

const MIB = 1024 * 1024
const TIB = MIB * MIB
const LARGEST = 16 * TIB
const SMALLEST = 1024 * MIB
/** What fragmentedDisk() lays down: a block of data at the start of each step. */
const BLOCK = 4096
const STEP = 2 * BLOCK
/** More than any filesystem allocates around a few written blocks; far less than what a difference could not read. */
const MOST_WRITTEN = 64 * MIB

export const largeDiskChecks: readonly Check[] = [
  {
    name: 'a sparse disk of 16 TiB without data has no written extents and no differences',
    run: checkEmptyGiant,
  },
  {
    name: 'a sparse disk of 16 TiB is cloned, mapped and compared by its few islands of data',
    run: checkGiant,
  },
  { name: 'a disk of very many extents is mapped and compared', run: checkManyExtents },
]

async function checkEmptyGiant(context: CheckContext): Promise<void> {
  const disk = await giantDisk(context)
  const base = await context.clone(disk, 'base')
  const target = await context.clone(disk, 'target')
  for (const file of [disk, base, target]) expectSparse(file, await context.checkMap(file, []))
  const { ranges } = await context.checkDifference(base, target, [])
  assert.deepEqual(ranges, [])
}

async function checkGiant(context: CheckContext): Promise<void> {
  const disk = await giantDisk(context)
  const size = await disk.size()
  const islands: Region[] = [0, size / 4, size / 2 + 4095, size - 100_000].map((place) => ({
    start: Math.floor(place),
    length: 100_000,
  }))
  for (const { start, length } of islands.slice(0, -2)) await disk.fill(start, length, 1)
  const base = await context.clone(disk, 'base')
  for (const { start, length } of islands.slice(-2)) await disk.fill(start, length, 2)
  await disk.flip(islands[1]!.start)
  const target = await context.clone(disk, 'target')
  for (const file of [base, target]) expectSparse(file, await context.checkMap(file, islands))
  await context.checkDifference(base, target, islands)
  await context.checkDifference(target, base, islands)
}

/** 16 TiB, or nearly the most that the filesystem takes: 16 TiB is the very limit of some. */
async function giantDisk(context: CheckContext): Promise<Disk> {
  const size = await giantSize(context)
  if (size < LARGEST)
    context.note(`this filesystem takes no file of 16 TiB: one of ${size} bytes was taken instead`)
  const disk = await context.disk(size)
  await disk.makeSparse()
  return disk
}

/** From 16 TiB down: each twice as far below it as the one before, and then each half of the one before. */
async function giantSize(context: CheckContext): Promise<number> {
  const probe = context.path('probe')
  for (let below = 0; below < LARGEST; below = Math.max(BLOCK, below * 2)) {
    if (await takesSize(probe, LARGEST - below)) return LARGEST - below
  }
  for (let size = LARGEST / 4; size >= SMALLEST; size /= 2) {
    if (await takesSize(probe, size)) return size
  }
  assert.fail(`this filesystem takes no file of ${SMALLEST} bytes`)
}

/**
 * Whether a file can have this size and be written to its end: Samba lets one be made longer than it lets it be written
 * (0xfffffff0000, the MAXFILESIZE of MS-FSA). A new file each time, because a failed write may be told twice.
 */
async function takesSize(path: string, size: number): Promise<boolean> {
  try {
    await using handle = await open(path, 'wx')
    await handle.truncate(size)
    await handle.write('x', size - 1)
    await handle.sync()
    return true
  } catch (error) {
    if (['EFBIG', 'EINVAL', 'ENOSPC'].includes(systemCode(error) ?? '')) return false
    throw error
  } finally {
    await unlink(path)
  }
}

function expectSparse({ path }: Disk, extents: readonly Extent[]): void {
  const written = extents.reduce((sum, { length, unwritten }) => sum + (unwritten ? 0 : length), 0)
  assert.ok(
    written <= MOST_WRITTEN,
    `the map calls ${written} bytes of '${path}' written, which holds far less: a difference would read them all`,
  )
}

/**
 * Reading so many blocks one by one takes longer than all the rest; but where data lies and what changed is known. That it
 * does lie there is looked up for some of them, and a false `zero` shows in the ranges themselves.
 */
async function checkManyExtents(context: CheckContext): Promise<void> {
  const { extents: count } = context.settings
  const disk = await timed(context, 'writing', () => context.fragmentedDisk(count))
  const some = [...everyNth(count, 500)].map((number) => ({ start: number * STEP, length: BLOCK }))
  const mapped = await timed(context, 'the map', () => context.checkMap(disk, some))
  expectAllMapped(mapped, count)
  context.note(`${count} extents were written, ${mapped.length} are in the map`)
  const base = await timed(context, 'the clone', () => context.clone(disk, 'base'))
  const written = await rewriteFragments(disk.path, everyNth(count, 100), 2)
  const zeroed = await zeroFragments(disk, everyNth(count, 1000))
  const target = await context.clone(disk, 'target')
  await context.checkMap(target, written)
  const regions = [...written, ...zeroed].sort((left, right) => left.start - right.start)
  const { ranges } = await timed(context, 'the difference', () =>
    context.checkDifference(base, target, regions),
  )
  expectZeros(ranges, count, new Set(zeroed.map(({ start }) => start)))
}

function expectAllMapped(extents: readonly Extent[], count: number): void {
  const walk = new RangeWalk(extents)
  for (let number = 0; number < count; number++) {
    let mapped = 0
    for (const { range, from, to } of walk.inside({ start: number * STEP, length: BLOCK }))
      if (!range.unwritten) mapped += to - from
    assert.equal(mapped, BLOCK, `the block that was written at ${number * STEP} is not in the map as data`)
  }
}

function* everyNth(count: number, step: number): Generator<number> {
  for (let number = 0; number < count; number += step) yield number
}

/** Writes zeros over the blocks behind these. @returns where */
async function zeroFragments(disk: Disk, numbers: Iterable<number>): Promise<readonly Region[]> {
  const regions: Region[] = []
  const zeros = Buffer.alloc(BLOCK)
  await using handle = await open(disk.path, 'r+')
  for (const number of numbers) {
    const region = { start: (number + 1) * STEP, length: zeros.length }
    await handle.write(zeros, 0, zeros.length, region.start)
    regions.push(region)
  }
  return regions
}

/** A range that is called zero touches no block with data. */
function expectZeros(ranges: readonly ChangedRange[], count: number, zeroed: ReadonlySet<number>): void {
  for (const { start, length, kind } of ranges) {
    if (kind === 'data') continue
    for (let at = Math.floor(start / STEP) * STEP; at < start + length; at += STEP) {
      const touched = at + BLOCK > start
      assert.ok(
        !touched || zeroed.has(at) || at >= count * STEP,
        `the ${length} bytes at ${start} are called zero, but there is data at ${at}`,
      )
    }
  }
}

async function timed<T>(context: CheckContext, what: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now()
  const result = await work()
  context.note(`${what} took ${((performance.now() - started) / 1000).toFixed(2)} s`)
  return result
}
