import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { filesystemStatus } from 'diskferry/native'
import type { Check } from '../check.ts'
import type { CheckContext } from '../check-context.ts'
import type { Disk } from '../guest/disk.ts'
import { syncFilesystem } from '../guest/sync-filesystem.ts'
import { addressesOf } from '../oracle/addresses.ts'
import { firstUncovered, sameAddress } from '../oracle/same-address.ts'

const MIB = 1024 * 1024
/**
 * The median counts: others may write to the filesystem meanwhile, and a filesystem may give back at any time what it
 * kept behind the end of the source (XFS, as much as the file has). They stay: XFS frees removed files some time later.
 */
const CLONES = 3

export const spaceChecks: readonly Check[] = [
  {
    name: 'a clone shares the blocks of a full disk: it takes up no space, and its bytes are not written again',
    async run(context) {
      if (context.physical) await checkShared(context)
      await checkNoCopy(context)
    },
  },
]

async function checkNoCopy(context: CheckContext): Promise<void> {
  const bytes = context.settings.fullDiskBytes
  const disk = await context.fullDisk(bytes)
  const costs: number[] = []
  while (costs.length < CLONES) {
    const { space, written } = await costOfClone(context, disk, `clone-${costs.length}`)
    assert.ok(
      written === undefined || written < bytes / 2,
      `the clone of a disk of ${bytes} bytes made this process write ${written} bytes: it was copied`,
    )
    costs.push(space)
  }
  const [, median] = costs.sort((left, right) => left - right)
  assert.ok(
    median! < bytes / 2,
    `clones of a disk of ${bytes} bytes took ${costs.join(', ')} bytes of free space: it was copied`,
  )
}

async function costOfClone(
  context: CheckContext,
  disk: Disk,
  name: string,
): Promise<{ readonly space: number; readonly written: number | undefined }> {
  const available = async () => {
    await syncFilesystem(context.folder)
    return (await filesystemStatus(context.folder)).availableBytes
  }
  const [before, writtenBefore] = [await available(), await bytesWritten()]
  await context.clone(disk, name)
  const [writtenAfter, after] = [await bytesWritten(), await available()]
  return {
    space: before - after,
    written:
      writtenBefore === undefined || writtenAfter === undefined ? undefined : writtenAfter - writtenBefore,
  }
}

/** What this process gave to write(2) and its like; proc_pid_io(5). Undefined where the kernel does not count. */
async function bytesWritten(): Promise<number | undefined> {
  try {
    const match = /^wchar: (\d+)$/m.exec(await readFile('/proc/self/io', 'utf8'))
    return match === null ? undefined : Number(match[1])
  } catch {
    return undefined
  }
}

/** Addresses tell at once, where there are any. */
async function checkShared(context: CheckContext): Promise<void> {
  const disk = await context.fullDisk(2 * MIB, 'small.img')
  await disk.sync()
  const clone = await context.clone(disk, 'small-clone')
  const [source, target] = [await addressesOf(disk.path), await addressesOf(clone.path)]
  if (source === undefined || target === undefined) {
    return context.note('this filesystem has no map of its own (FIEMAP) that could show what is shared')
  }
  const apart = firstUncovered([{ start: 0, length: 2 * MIB }], sameAddress(source.ranges, target.ranges))
  assert.equal(
    apart,
    undefined,
    `${source.source} shows byte ${apart} of the clone at another place than the source's`,
  )
}
