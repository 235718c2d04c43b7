import { rename, unlink } from 'node:fs/promises'
import type { FilesystemFeature } from 'diskferry/core'
import type { Check } from '../check.ts'
import type { CheckContext } from '../check-context.ts'
import { copyFile } from '../guest/copy-file.ts'
import { defragment } from '../guest/defragment.ts'
import { Disk } from '../guest/disk.ts'
import { rewriteFragments } from '../guest/fragments.ts'
import { syncFilesystem } from '../guest/sync-filesystem.ts'
import { type AddressedRange, addressesOf } from '../oracle/addresses.ts'
import { firstUncovered, sameAddress } from '../oracle/same-address.ts'

const KIB = 1024
const SIZE = 1024 * KIB
const REUSE_ATTEMPTS = 2
/** What stays of the disk when its other blocks are given away. */
const KEPT = 256 * KIB
const FRAGMENTS = 100
/** Of the three files of a difference, the one whose blocks move. */
const MOVED = ['disk', 'base', 'target'] as const

interface Way {
  readonly by: string
  readonly needs?: readonly FilesystemFeature[]
  readonly move: (context: CheckContext, file: Disk) => Promise<void>
}

const WAYS: readonly Way[] = [
  { by: 'a copy that takes its name', move: (_context, file) => file.replaceByCopy() },
  {
    by: 'deduplication',
    needs: ['deduplicate'],
    async move(_context, file) {
      await file.relocate(0, 64 * KIB)
      await file.relocate(300 * KIB, 300 * KIB)
    },
  },
  {
    by: 'defragmentation',
    needs: ['defragment'],
    move: (context, file) => defragment(context.suite, file.path),
  },
]

export const movedBlockChecks: readonly Check[] = [
  ...WAYS.flatMap((way) =>
    MOVED.map(
      (moved): Check => ({
        name: `a difference stays right when the blocks of the ${moved} are moved by ${way.by}`,
        ...(way.needs !== undefined && { needs: way.needs }),
        run: (context) => checkMoved(context, moved, way),
      }),
    ),
  ),
  {
    name: 'a difference stays right when the base is moved by a copy and its old blocks are given to other data',
    run: (context) => checkReuse(context, replaceAndEmpty),
  },
  {
    name: 'a difference stays right when the base is moved by deduplication and its old blocks are given to other data',
    needs: ['deduplicate'],
    run: (context) => checkReuse(context, (base) => base.relocate(0, SIZE)),
  },
  {
    name: 'a difference stays right when a snapshot file is replaced by another of the same name',
    run: checkReplaced,
  },
  {
    name: 'a difference stays right when blocks move while it is computed',
    needs: ['deduplicate'],
    run: checkMovesMeanwhile,
  },
]

/** The disk is in fragments, so that a defragmentation has something to do. */
async function checkMoved(context: CheckContext, moved: (typeof MOVED)[number], way: Way): Promise<void> {
  const disk = await context.fragmentedDisk(FRAGMENTS)
  await disk.sync()
  await disk.fill(100 * KIB, 300 * KIB, 2)
  await disk.sync()
  const base = await context.clone(disk, 'base')
  await context.checkDifference(base, disk)
  if (moved === 'disk') await move(context, disk, way)
  await rewriteFragments(disk.path, [3, 4, 90], 3)
  await disk.fill(310 * KIB + 5, 4 * KIB, 3)
  const target = await context.clone(disk, 'target')
  if (moved === 'base') await move(context, base, way)
  if (moved === 'target') await move(context, target, way)
  await context.checkPair(base, target)
}

async function move(context: CheckContext, file: Disk, way: Way): Promise<void> {
  const before = await placesOf(context, file)
  await way.move(context, file)
  const after = await placesOf(context, file)
  if (before === undefined || after === undefined) return
  const stayed = firstUncovered(
    before.filter(({ unwritten }) => !unwritten),
    sameAddress(before, after),
  )
  if (stayed === undefined) context.note(`nothing of '${file.path}' was moved by ${way.by}`)
}

async function placesOf(context: CheckContext, file: Disk): Promise<readonly AddressedRange[] | undefined> {
  return context.physical ? (await addressesOf(file.path))?.ranges : undefined
}

/**
 * The base's blocks go elsewhere, and their old place is given to the target: whoever remembers where the base lay
 * takes the two for the same. Where a filesystem puts new data is its own affair, so this tries more than once.
 */
async function checkReuse(context: CheckContext, moveAway: (base: Disk) => Promise<void>): Promise<void> {
  for (let attempt = 1; attempt <= REUSE_ATTEMPTS; attempt++) {
    const disk = await context.fullDisk(SIZE, `disk-${attempt}`)
    await disk.sync()
    const base = await context.clone(disk, `base-${attempt}`)
    const same = await context.clone(disk, `same-${attempt}`)
    await context.checkDifference(base, same)
    const left = await placesOf(context, base)
    await moveAway(base)
    await same.truncate(0)
    await disk.truncate(KEPT)
    await syncFilesystem(context.folder)
    // Behind what is left of the disk, which is where most filesystems put it when there is room.
    await disk.fill(KEPT, SIZE - KEPT, 2)
    await disk.sync()
    const target = await context.clone(disk, `target-${attempt}`)
    await context.checkPair(base, target)
    const taken = await placesOf(context, target)
    if (left === undefined || taken === undefined) return
    if (sameAddress(left, taken).some(({ start, length }) => start + length > KEPT)) return
  }
  context.note('the filesystem did not give the freed place to the new data, so this could hardly go wrong')
}

/** Emptied, not only removed: XFS frees the blocks of a removed file some time later. */
async function replaceAndEmpty(base: Disk): Promise<void> {
  const old = new Disk(`${base.path}.old`)
  await rename(base.path, old.path)
  await copyFile(old.path, base.path)
  await old.truncate(0)
}

async function checkReplaced(context: CheckContext): Promise<void> {
  const disk = await context.fullDisk(SIZE)
  const first = await context.clone(disk, 'first')
  const second = await context.clone(disk, 'second')
  await context.checkPair(first, second)
  await disk.fill(200 * KIB, 8 * KIB, 2)
  const third = await context.clone(disk, 'third')
  await rename(third.path, second.path)
  await context.checkPair(first, second)
  await unlink(first.path)
  await disk.fill(400 * KIB, 8 * KIB, 3)
  await context.checkPair(second, await context.clone(disk, 'first'))
}

async function checkMovesMeanwhile(context: CheckContext): Promise<void> {
  const disk = await context.fullDisk(SIZE)
  const base = await context.clone(disk, 'base')
  await disk.fill(600 * KIB, 8 * KIB, 2)
  const target = await context.clone(disk, 'target')
  for (let round = 0; round < 4; round++) {
    const moving = [base.relocate(round * 64 * KIB, 64 * KIB), target.relocate(SIZE - 64 * KIB, 64 * KIB)]
    const [compared] = await Promise.allSettled([context.checkDifference(base, target), ...moving])
    await Promise.all(moving)
    if (compared.status === 'rejected') throw compared.reason
  }
}
