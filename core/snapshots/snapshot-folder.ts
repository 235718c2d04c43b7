import { lstat, mkdir, open, readdir, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DiskferryError, systemCode } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import { ensureFolder } from '../repositories/ensure-folder.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import { SNAPSHOTS_FOLDER } from '../repositories/paths.ts'
import type { Mount } from '../storage-backend.ts'
import { retireManifest } from './snapshot-manifest.ts'

/** The only names of folders that are snapshots: no other id ever becomes part of a path. */
export const SNAPSHOT_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Where a snapshot's files lie in a repository. */
export function snapshotFolder(root: string, snapshotId: string): string {
  if (!SNAPSHOT_ID.test(snapshotId)) {
    throw new DiskferryError('INTERNAL', `${JSON.stringify(snapshotId)} is not a snapshot id`)
  }
  return join(root, SNAPSHOTS_FOLDER, snapshotId)
}

/**
 * Makes the folder for a new snapshot on the very mount that was looked at before, and returns what keeps that mount
 * from being unmounted until it is disposed of.
 *
 * @throws REPOSITORY_NOT_MOUNTED, or the system's error
 */
export async function makeSnapshotFolder(
  root: string,
  snapshotId: string,
  mount: Mount,
  guard: MountGuard,
): Promise<AsyncDisposable> {
  const folder = snapshotFolder(root, snapshotId)
  const pin = await open(root, 'r')
  try {
    await guard.assertMounted(root, mount)
    await ensureFolder(dirname(folder))
    await mkdir(folder, { mode: 0o750 })
  } catch (error) {
    await pin.close()
    throw error
  }
  return pin
}

/**
 * Makes of a snapshot's folder something that nobody takes for a snapshot; does nothing where it is gone already.
 *
 * @throws REPOSITORY_NOT_MOUNTED, or the system's error
 */
export async function retireSnapshotFolder(
  root: string,
  snapshotId: string,
  guard: MountGuard,
): Promise<void> {
  const folder = snapshotFolder(root, snapshotId)
  await guard.assertMounted(root)
  if (!(await isFolder(folder))) return
  await retireManifest(folder)
  await syncFolder(folder)
}

/**
 * Removes a snapshot's folder with all in it; does nothing where it is gone already. A link in it is removed, never
 * followed.
 *
 * @throws REPOSITORY_NOT_MOUNTED, or the system's error
 */
export async function removeSnapshotFolder(
  root: string,
  snapshotId: string,
  guard: MountGuard,
): Promise<void> {
  const folder = snapshotFolder(root, snapshotId)
  await guard.assertMounted(root)
  if (await isFolder(folder)) {
    for (const name of await readdir(folder)) {
      await rm(join(folder, name), { recursive: true, force: true })
      faultPoint('remove.file')
    }
    faultPoint('remove.emptied')
    await rmdir(folder)
  } else {
    await rm(folder, { force: true })
  }
  faultPoint('remove.folder')
  await syncParent(folder)
  faultPoint('remove.synced')
}

/** Makes the names in a folder survive a crash; fsync(2). */
export async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r')
  await handle.sync()
}

/** Where nothing was ever made there is no folder of snapshots either. */
async function syncParent(folder: string): Promise<void> {
  try {
    await syncFolder(dirname(folder))
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory()
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}
