import assert from 'node:assert/strict'
import type { FilesystemFeature } from 'diskferry/core'
import type { Check } from '../check.ts'
import type { CheckContext } from '../check-context.ts'
import { compressible } from '../guest/content.ts'
import type { Disk } from '../guest/disk.ts'
import { rewriteFragments } from '../guest/fragments.ts'
import { fingerprint } from '../oracle/fingerprint.ts'

const KIB = 1024
/** Data, a hole from 512 KiB to 768 KiB, data again up to an end inside a block. */
const SIZE = 1024 * KIB + 777
const HOLE_START = 512 * KIB
const HOLE_LENGTH = 256 * KIB
const FRAGMENTS = 200

interface Change {
  /** Ends the sentence `a difference tells ...`. */
  readonly what: string
  readonly needs?: readonly FilesystemFeature[]
  /** Done to the disk before the base is cloned. */
  readonly before?: (disk: Disk) => Promise<void>
  readonly change: (disk: Disk) => Promise<void>
}

const CHANGES: readonly Change[] = [
  { what: 'that nothing changed', change: async () => undefined },
  { what: 'an overwritten block', change: (disk) => disk.fill(64 * KIB, 4 * KIB, 2) },
  {
    what: 'an overwritten range that begins and ends inside blocks',
    change: (disk) => disk.fill(70_001, 33_333, 2),
  },
  {
    what: 'a single byte, at the start, inside and at the end',
    async change(disk) {
      for (const position of [0, 300_003, SIZE - 1]) await disk.flip(position)
    },
  },
  { what: 'a write into a hole', change: (disk) => disk.fill(HOLE_START + 100_001, 5000, 2) },
  { what: 'data appended', change: (disk) => disk.fill(SIZE, 100_000, 2) },
  { what: 'data written far behind the end', change: (disk) => disk.fill(3 * SIZE, 5000, 2) },
  { what: 'that the disk shrank', change: (disk) => disk.truncate(300 * KIB + 5) },
  { what: 'that the disk grew by a hole', change: (disk) => disk.truncate(2 * SIZE) },
  {
    what: 'that the disk shrank and grew again',
    async change(disk) {
      await disk.truncate(200 * KIB + 5)
      await disk.truncate(SIZE)
    },
  },
  { what: 'that the disk was emptied', change: (disk) => disk.truncate(0) },
  {
    what: 'a discarded range of whole blocks',
    needs: ['punch-hole'],
    change: (disk) => disk.fallocate('punch-hole', 128 * KIB, 64 * KIB),
  },
  {
    what: 'a discarded range that begins and ends inside blocks',
    needs: ['punch-hole'],
    change: (disk) => disk.fallocate('punch-hole', 70_001, 33_333),
  },
  {
    what: 'that the whole disk was discarded',
    needs: ['punch-hole'],
    change: (disk) => disk.fallocate('punch-hole', 0, SIZE),
  },
  {
    what: 'a range that was discarded and written again',
    needs: ['punch-hole'],
    async change(disk) {
      await disk.fallocate('punch-hole', 128 * KIB, 64 * KIB)
      await disk.fill(140 * KIB, 8 * KIB, 2)
    },
  },
  { what: 'zeros written over data', change: (disk) => disk.write(100_000, Buffer.alloc(50_000)) },
  {
    what: 'a range zeroed by its filesystem',
    needs: ['zero-range'],
    change: (disk) => disk.fallocate('zero-range', 70_001, 100_000),
  },
  {
    what: 'a range zeroed over hole and data, and written in part',
    needs: ['zero-range'],
    async change(disk) {
      await disk.fallocate('zero-range', HOLE_START - 64 * KIB, HOLE_LENGTH)
      await disk.fill(HOLE_START - 10_000, 20_000, 2)
    },
  },
  {
    what: 'nothing of a hole that was allocated',
    needs: ['preallocate'],
    change: (disk) => disk.fallocate('allocate', HOLE_START, HOLE_LENGTH),
  },
  {
    what: 'data written into a hole that was allocated',
    needs: ['preallocate'],
    before: (disk) => disk.fallocate('allocate', HOLE_START, HOLE_LENGTH),
    change: (disk) => disk.fill(HOLE_START + 10_001, 20_000, 2),
  },
  {
    what: 'allocated and written data behind the end',
    needs: ['preallocate'],
    async change(disk) {
      await disk.fallocate('allocate', SIZE, 200_000)
      await disk.fill(SIZE + 100_000, 5000, 2)
    },
  },
  {
    what: 'data written where space was kept behind the end',
    needs: ['keep-size'],
    before: (disk) => disk.fallocate('keep-size', SIZE, 512 * KIB),
    async change(disk) {
      await disk.truncate(SIZE + 400 * KIB)
      await disk.fill(SIZE + 100_000, 5000, 2)
    },
  },
  {
    what: 'at most too much of a range that was written again with the same bytes',
    change: (disk) => disk.rewrite(100_000, 200_000),
  },
  {
    what: 'data that two places of the disk came to share',
    needs: ['clone-range'],
    change: (disk) => disk.shareWithin(0, 256 * KIB, 128 * KIB),
  },
  {
    what: 'two places of the disk that changed their blocks with each other',
    needs: ['clone-range'],
    before: (disk) => disk.truncate(1024 * KIB),
    async change(disk) {
      await disk.shareWithin(0, 1024 * KIB, 64 * KIB)
      await disk.shareWithin(64 * KIB, 0, 64 * KIB)
      await disk.shareWithin(1024 * KIB, 64 * KIB, 64 * KIB)
      await disk.truncate(1024 * KIB)
    },
  },
  {
    what: 'changes inside data that can be compressed',
    async before(disk) {
      await disk.write(0, compressible(SIZE, 1))
      await disk.sync()
    },
    async change(disk) {
      await disk.write(50_000, compressible(20_000, 2))
      await disk.flip(400 * KIB)
      await disk.fill(600 * KIB, 4 * KIB, 2)
    },
  },
  {
    what: 'many small writes all over the disk',
    async change(disk) {
      for (let at = 1000; at < SIZE; at += 24_000) await disk.fill(at, 300, 2)
    },
  },
]

export const changeChecks: readonly Check[] = [
  ...CHANGES.map(
    (change): Check => ({
      name: `a difference tells ${change.what}`,
      ...(change.needs !== undefined && { needs: change.needs }),
      run: (context) => checkChange(context, change),
    }),
  ),
  {
    name: 'a difference tells what changed over several snapshots, between any two of them',
    run: checkSnapshots,
  },
  { name: 'a difference of two disks that have nothing in common tells everything', run: checkStrangers },
  { name: 'a difference of disks too small for a block tells every byte', run: checkTiny },
  { name: 'a small change is not told as the whole disk', run: checkProportion },
  { name: 'progress goes up to the size of the disk and never back', run: checkProgress },
]

/** The base is looked at twice: a change of the disk must not reach it. */
async function checkChange(context: CheckContext, { before, change }: Change): Promise<void> {
  const disk = await context.fullDisk(HOLE_START)
  await disk.fill(HOLE_START + HOLE_LENGTH, SIZE - HOLE_START - HOLE_LENGTH, 1)
  await before?.(disk)
  const base = await context.clone(disk, 'base')
  const held = await fingerprint(base.path)
  await change(disk)
  const target = await context.clone(disk, 'target')
  assert.equal(
    await fingerprint(target.path),
    await fingerprint(disk.path),
    'the clone differs from the disk',
  )
  assert.equal(await fingerprint(base.path), held, 'the base changed with the disk')
  await context.checkPair(base, target)
}

async function checkSnapshots(context: CheckContext): Promise<void> {
  const disk = await context.fullDisk(512 * KIB)
  const snapshots: Disk[] = []
  for (let index = 0; index < 4; index++) {
    snapshots.push(await context.clone(disk, `snapshot-${index}`))
    await disk.fill(index * 100_000, 50_000, index + 2)
  }
  for (const base of snapshots) for (const target of snapshots) await context.checkDifference(base, target)
}

async function checkStrangers(context: CheckContext): Promise<void> {
  const one = await context.fullDisk(300_000, 'one', 1)
  const other = await context.fullDisk(400_000, 'other', 2)
  const empty = await context.disk(0, 'empty')
  for (const base of [one, other, empty]) {
    for (const target of [one, other, empty]) await context.checkDifference(base, target)
  }
}

async function checkTiny(context: CheckContext): Promise<void> {
  for (const size of [1, 2000, 4095]) {
    const disk = await context.fullDisk(size, `disk-${size}`)
    const base = await context.clone(disk, `base-${size}`)
    await disk.flip(size - 1)
    const target = await context.clone(disk, `target-${size}`)
    await disk.fill(0, size + 5000, 2)
    const grown = await context.clone(disk, `grown-${size}`)
    await context.checkPair(base, target)
    await context.checkPair(base, grown)
  }
}

/** Filesystems may copy more than was written, OCFS2 up to 1 MiB for 4 KiB; half a disk is no difference any more. */
async function checkProportion(context: CheckContext): Promise<void> {
  const size = 8 * 1024 * KIB
  const disk = await context.fullDisk(size)
  const base = await context.clone(disk, 'base')
  await disk.fill(3 * 1024 * KIB, 4 * KIB, 2)
  const target = await context.clone(disk, 'target')
  const { ranges } = await context.checkDifference(base, target)
  const reported = ranges.reduce((sum, { length }) => sum + length, 0)
  context.note(`${reported} bytes were reported for a change of 4096`)
  assert.ok(reported <= size / 2, `a change of 4096 bytes in ${size} was reported as ${reported} bytes`)
}

async function checkProgress(context: CheckContext): Promise<void> {
  const { backend, signal } = context
  const disk = await context.fragmentedDisk(FRAGMENTS)
  const base = await context.clone(disk, 'base')
  await rewriteFragments(disk.path, [0, 9, 99, FRAGMENTS - 1], 2)
  const target = await context.clone(disk, 'target')
  const size = await target.size()
  const seen: number[] = []
  const options = { onProgress: (settled: number) => void seen.push(settled) }
  const { ranges } = await backend.diff(base.path, target.path, options, signal)
  for await (const _batch of ranges) signal.throwIfAborted()
  let last = 0
  for (const settled of seen) {
    assert.ok(settled >= last && settled <= size, `${settled} of ${size} bytes settled, after ${last}`)
    last = settled
  }
}
