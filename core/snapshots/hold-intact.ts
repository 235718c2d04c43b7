import { join } from 'node:path'
import { backendFailure } from '../backends/backend-failure.ts'
import { DiskferryError, describe, systemCode } from '../errors.ts'
import type { HeldPath, HoldBeneath } from '../held-path.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import { differenceFromManifest } from './manifest-difference.ts'
import { pinHome } from './pin-home.ts'
import { readManifest } from './read-manifest.ts'
import { differenceFromRecord } from './recorded-file.ts'
import { isRetired, snapshotFolder } from './snapshot-folder.ts'
import { MANIFEST_NAME } from './snapshot-manifest.ts'
import type { SnapshotDisk } from './snapshot-record.ts'

/** What a failure to find a snapshot's file says of it. */
const DAMAGE: Readonly<Record<string, string>> = {
  ENOENT: 'is missing',
  ENOTDIR: 'is missing',
  ELOOP: 'lies behind a link, which is not followed',
  EXDEV: 'lies on another filesystem',
  ENXIO: 'is not a regular file',
}

/**
 * Holds a snapshot's file when it is still the one that was recorded, in the database and in the `snapshot.json` beside
 * it. What is read afterwards goes through the descriptor: a link or another file that is put in its place is never
 * read. To be called under the watch of its mount.
 *
 * @throws SNAPSHOT_DAMAGED, REPOSITORY_NOT_MOUNTED, READ_FAILED
 */
export async function holdIntact(
  disk: SnapshotDisk,
  guard: MountGuard,
  hold: HoldBeneath,
): Promise<HeldPath> {
  const damaged = (what: string, cause: unknown = new Error(disk.path)): DiskferryError =>
    new DiskferryError(
      'SNAPSHOT_DAMAGED',
      `the snapshot's ${what}; delete the snapshot and make a full one`,
      { cause },
    )
  const itsFile = `file of disk ${disk.name}`
  let file: HeldPath
  try {
    await using home = await pinHome(disk.root, disk.repositoryStamp, guard, hold)
    const damage = await manifestDamage(disk, home.hold)
    if (damage !== undefined) throw damaged(`${MANIFEST_NAME} ${damage}`)
    file = await home.hold(disk.root, disk.path)
  } catch (error) {
    const what = DAMAGE[systemCode(error) ?? '']
    if (what !== undefined) throw damaged(`${itsFile} ${what}`, error)
    throw backendFailure(error, 'READ_FAILED', `the snapshot's file '${disk.path}' can't be looked at`)
  }
  const difference = differenceFromRecord(disk, file)
  if (difference === undefined) return file
  await file[Symbol.asyncDispose]()
  throw damaged(`${itsFile} ${difference}`)
}

/**
 * What is wrong with the `snapshot.json` beside a disk, as the end of a sentence; undefined when it says what was
 * recorded. The database or the folder may have been restored from an old copy, or be that of another snapshot, and which
 * of the two is right can't be told. Where there is none the snapshot may be half deleted, by another host.
 *
 * @throws READ_FAILED, or the system's error for the folder
 */
async function manifestDamage(disk: SnapshotDisk, hold: HoldBeneath): Promise<string | undefined> {
  const { root, snapshot } = disk
  const path = snapshotFolder(root, snapshot.id)
  await using folder = await hold(root, path)
  try {
    return differenceFromManifest(disk, await readManifest(join(folder.path, MANIFEST_NAME), snapshot.id))
  } catch (error) {
    const code = systemCode(error)
    if (code === undefined) return describe(error)
    if (code === 'ENOENT' && (await isRetired(root, path, hold)))
      return 'is out of the way: a server has begun to delete the snapshot'
    const damage = DAMAGE[code]
    if (damage !== undefined) return damage
    throw backendFailure(error, 'READ_FAILED', `the ${MANIFEST_NAME} beside '${disk.path}' can't be read`)
  }
}
