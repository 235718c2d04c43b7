import { join } from 'node:path'
import { DiskferryError } from '../errors.ts'
import type { HoldBeneath } from '../held-path.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import { SNAPSHOTS_FOLDER } from '../repositories/paths.ts'
import type { PinnedRoot } from '../repositories/pinned-root.ts'
import { readStamps, STAMP_FILE, type Stamps } from '../repositories/repository-stamp.ts'
import type { Mount } from '../storage-backend.ts'
import type { SnapshotRecord } from './snapshot-record.ts'

/**
 * Pins the repository that has files of a snapshot, and no other that is mounted in its place: there every file would be
 * missing, and a record would be forgotten whose files come back with the right one. A record without a stamp is of
 * before there were any: for it a repository without a folder for snapshots is another one. To be called under the watch
 * of its mount.
 *
 * @param stamp what was recorded
 * @throws REPOSITORY_NOT_MOUNTED, or the system's error
 */
export async function pinHome(
  root: string,
  stamp: string | undefined,
  guard: MountGuard,
  hold: HoldBeneath,
): Promise<PinnedRoot> {
  const pinned = await guard.pin(root, hold)
  try {
    const found = await readStamps(root, pinned.hold)
    if (!isHome(found, stamp)) throw anotherRepository(root, stamp, found, pinned.mount)
    return pinned
  } catch (error) {
    await pinned[Symbol.asyncDispose]()
    throw error
  }
}

/** The stamp of a repository that has files of a snapshot, as recorded. */
export function stampOf({ disks }: Pick<SnapshotRecord, 'disks'>, root: string): string | undefined {
  return disks.find((disk) => disk.root === root && disk.repositoryStamp !== undefined)?.repositoryStamp
}

function isHome(found: Stamps, stamp: string | undefined): boolean {
  if (found === 'out-of-reach') return true
  return found !== 'none' && (stamp === undefined || found.includes(stamp))
}

function anotherRepository(
  root: string,
  stamp: string | undefined,
  found: Stamps,
  { source, filesystem }: Mount,
): DiskferryError {
  const folder = join(root, SNAPSHOTS_FOLDER)
  const file = join(folder, STAMP_FILE)
  const here = `what is at '${root}' now (${source}, ${filesystem}) is another filesystem than the one with the snapshot`
  const message =
    stamp === undefined
      ? `${here}: it has no folder '${folder}'; mount the right one, then try again. If this is the right one, and what it had is lost, make that folder`
      : `${here}: ${difference(file, stamp, found)}; mount the right one, then try again. If this is the right one, or the right one is lost for good, add the line ${stamp} to that file`
  return new DiskferryError('REPOSITORY_NOT_MOUNTED', message, {
    clientMessage:
      'Another filesystem is mounted on the host where the repository with the snapshot should be; nothing was changed. Mount the right one.',
  })
}

function difference(file: string, stamp: string, found: Stamps): string {
  return typeof found === 'string' || found.length === 0
    ? `its '${file}', which should say ${stamp}, is missing`
    : `its '${file}' says ${found.join(', ')} where ${stamp} was recorded`
}
