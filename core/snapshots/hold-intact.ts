import { dirname } from 'node:path'
import { backendFailure } from '../backends/backend-failure.ts'
import { DiskferryError, systemCode } from '../errors.ts'
import type { HeldPath, HoldBeneath } from '../held-path.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import { pinHome } from './pin-home.ts'
import { differenceFromRecord } from './recorded-file.ts'
import { isRetired } from './snapshot-folder.ts'
import type { DiskRecord } from './snapshot-record.ts'

/** What a failure to find a snapshot's file says of it. */
const DAMAGE: Readonly<Record<string, string>> = {
  ENOENT: 'is missing',
  ENOTDIR: 'is missing',
  ELOOP: 'lies behind a link, which is not followed',
  EXDEV: 'lies on another filesystem',
}

/**
 * Holds a snapshot's file when it is still the one that was recorded. What is read afterwards goes through the
 * descriptor: a link or another file that is put in its place is never read. To be called under the watch of its mount.
 *
 * @throws SNAPSHOT_DAMAGED, REPOSITORY_NOT_MOUNTED, READ_FAILED
 */
export async function holdIntact(disk: DiskRecord, guard: MountGuard, hold: HoldBeneath): Promise<HeldPath> {
  const damaged = (what: string, cause?: unknown): DiskferryError =>
    new DiskferryError(
      'SNAPSHOT_DAMAGED',
      `the snapshot's file of disk ${disk.name} ${what}; delete the snapshot and make a full one`,
      { cause: cause ?? new Error(disk.path) },
    )
  let file: HeldPath
  try {
    await using home = await pinHome(disk.root, disk.repositoryStamp, guard, hold)
    if (await isRetired(disk.root, dirname(disk.path), home.hold)) {
      throw damaged('is of a snapshot that a server has begun to delete')
    }
    file = await home.hold(disk.root, disk.path)
  } catch (error) {
    const what = DAMAGE[systemCode(error) ?? '']
    if (what !== undefined) throw damaged(what, error)
    throw backendFailure(error, 'READ_FAILED', `the snapshot's file '${disk.path}' can't be looked at`)
  }
  const difference = differenceFromRecord(disk, file)
  if (difference === undefined) return file
  await file[Symbol.asyncDispose]()
  throw damaged(difference)
}
