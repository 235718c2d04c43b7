import { mkdir, open, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DiskferryError, systemCode } from '../errors.ts'
import { ensureFolder } from '../repositories/ensure-folder.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import { SNAPSHOTS_FOLDER } from '../repositories/paths.ts'
import type { Mount } from '../storage-backend.ts'

/** No id that we did not make ourselves ever becomes part of a path. */
const SNAPSHOT_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

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
  if (!(await exists(folder))) return
  await rm(folder, { recursive: true, force: true })
  await syncFolder(dirname(folder))
}

/** Makes the names in a folder survive a crash; fsync(2). */
export async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r')
  await handle.sync()
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}
