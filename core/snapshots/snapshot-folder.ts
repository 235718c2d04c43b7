import { mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DiskferryError, systemCode } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import type { HeldPath, HoldBeneath } from '../held-path.ts'
import { isThere } from '../is-there.ts'
import { ensureFolder } from '../repositories/ensure-folder.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import { SNAPSHOTS_FOLDER } from '../repositories/paths.ts'
import type { Mount } from '../storage-backend.ts'
import { holdFolder } from './hold-folder.ts'
import { pinHome } from './pin-home.ts'
import { type Removal, removeTree } from './remove-tree.ts'
import { RETIRED_NAME, retireManifest } from './snapshot-manifest.ts'

/** The only names of folders that are snapshots: no other id ever becomes part of a path. */
export const SNAPSHOT_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Where a snapshot's files lie in a repository. */
export function snapshotFolder(root: string, snapshotId: string): string {
  if (!SNAPSHOT_ID.test(snapshotId)) {
    throw new DiskferryError('INTERNAL', `${JSON.stringify(snapshotId)} is not a snapshot id`)
  }
  return join(root, SNAPSHOTS_FOLDER, snapshotId)
}

/** Holds that folder; undefined where there is none. To be called under the watch of its mount. @throws as `holdFolder` */
export function holdSnapshotFolder(
  root: string,
  snapshotId: string,
  hold: HoldBeneath,
): Promise<HeldPath | undefined> {
  return holdFolder(root, snapshotFolder(root, snapshotId), hold)
}

/**
 * Makes the folder for a new snapshot on the very mount that was looked at before, and holds it: neither that mount nor
 * the folder's names can be exchanged until it is disposed of.
 *
 * @throws REPOSITORY_NOT_MOUNTED, or the system's error: ELOOP where a link stands in place of a folder
 */
export async function makeSnapshotFolder(
  root: string,
  snapshotId: string,
  mount: Mount,
  guard: MountGuard,
  hold: HoldBeneath,
): Promise<HeldPath> {
  const folder = snapshotFolder(root, snapshotId)
  await using pinned = await guard.pin(root, hold, mount)
  await ensureFolder(pinned.at(dirname(folder)))
  await using parent = await pinned.hold(root, dirname(folder))
  await mkdir(join(parent.path, snapshotId), { mode: 0o750 })
  return await pinned.hold(root, folder)
}

/** Is there anything by the name of a snapshot's folder? @throws as `pinHome` */
export async function isSnapshotThere(
  root: string,
  snapshotId: string,
  stamp: string | undefined,
  guard: MountGuard,
  hold: HoldBeneath,
): Promise<boolean> {
  await using home = await pinHome(root, stamp, guard, hold)
  try {
    await using _folder = await home.hold(root, snapshotFolder(root, snapshotId))
  } catch (error) {
    // Whatever else is wrong is told by who removes it.
    return systemCode(error) !== 'ENOENT'
  }
  return true
}

/**
 * Makes of a snapshot's folder something that nobody takes for a snapshot; does nothing where it is gone already.
 *
 * @throws as `pinHome`
 */
export async function retireSnapshotFolder(
  root: string,
  snapshotId: string,
  stamp: string | undefined,
  guard: MountGuard,
  hold: HoldBeneath,
): Promise<void> {
  await using home = await pinHome(root, stamp, guard, hold)
  // A link or a file in its place is no snapshot, and is removed later.
  await using folder = await holdSnapshotFolder(root, snapshotId, home.hold)
  if (folder === undefined) return
  await retireManifest(folder.path)
  await syncFolder(folder.path)
}

/**
 * Has a server begun to delete the snapshot that has this folder? It may have been killed at that, and not be started
 * again for long. False where there is no such folder. To be called under the watch of its mount.
 *
 * @throws as `holdFolder`
 */
export async function isRetired(root: string, folder: string, hold: HoldBeneath): Promise<boolean> {
  await using held = await holdFolder(root, folder, hold)
  return held !== undefined && (await isThere(join(held.path, RETIRED_NAME)))
}

/**
 * Removes a snapshot's folder with all in it; does nothing where it is gone already. A link in it is removed, never
 * followed.
 *
 * @throws as `pinHome`; ELOOP where a link stands in place of the folder of all
 */
export async function removeSnapshotFolder(
  root: string,
  snapshotId: string,
  stamp: string | undefined,
  guard: MountGuard,
  hold: HoldBeneath,
): Promise<Removal> {
  const folder = snapshotFolder(root, snapshotId)
  await using home = await pinHome(root, stamp, guard, hold)
  await using parent = await home.hold(root, dirname(folder))
  const removal = await removeTree(parent.path, snapshotId)
  faultPoint('remove.folder')
  await syncFolder(parent.path)
  faultPoint('remove.synced')
  return removal
}

/** Makes the names in a folder survive a crash; fsync(2). */
export async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r')
  await handle.sync()
}
