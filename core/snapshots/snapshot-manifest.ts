import { constants } from 'node:fs'
import { open, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import type { SnapshotRecord } from './snapshot-record.ts'

export const MANIFEST_NAME = 'snapshot.json'
/** The manifest of a snapshot that is being made: a folder that has it is not whole, whatever else is in it. */
export const UNFINISHED_NAME = '.snapshot.json.new'
/** The manifest of a snapshot that is being deleted: some of its files may be gone. */
export const RETIRED_NAME = '.snapshot.json.deleting'
/** That of a snapshot that is being adopted, whose files are whole. */
export const ADOPTING_NAME = '.snapshot.json.adopting'

const OVERWRITE = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW
const NEW_FILE = OVERWRITE | constants.O_EXCL

/** Says of a new folder that it is unfinished, and what it is going to be. */
export async function markUnfinished(folder: string, vmId: string, draft: SnapshotRecord): Promise<void> {
  await using handle = await open(join(folder, UNFINISHED_NAME), NEW_FILE, 0o640)
  await handle.writeFile(manifestText(vmId, draft))
}

/**
 * Writes `snapshot.json` beside a snapshot's disks: all that the database knows of the snapshot, so that the database
 * can be made anew from these files. Whole or absent, and on the disk when this returns.
 *
 * @param temporaryName what it is called while it is being written
 */
export async function writeManifest(
  folder: string,
  vmId: string,
  record: SnapshotRecord,
  temporaryName: typeof UNFINISHED_NAME | typeof ADOPTING_NAME = UNFINISHED_NAME,
): Promise<void> {
  const temporary = join(folder, temporaryName)
  {
    await using handle = await open(temporary, OVERWRITE, 0o640)
    const text = manifestText(vmId, record)
    const half = text.length >> 1
    await handle.writeFile(text.slice(0, half))
    faultPoint('create.manifest-half')
    await handle.writeFile(text.slice(half))
    await handle.sync()
  }
  faultPoint('create.manifest-written')
  await rename(temporary, join(folder, MANIFEST_NAME))
  faultPoint('create.manifest-named')
}

/** Takes `snapshot.json` away before the disks go, so that nobody takes what is left for a snapshot. */
export async function retireManifest(folder: string): Promise<void> {
  const manifest = join(folder, MANIFEST_NAME)
  try {
    await rename(manifest, join(folder, RETIRED_NAME))
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return
    // A longer name may need space that a full filesystem has not.
    if (systemCode(error) !== 'ENOSPC' && systemCode(error) !== 'EDQUOT') throw error
    await unlink(manifest)
  }
}

/** What `snapshot.json` says of a record. */
export function manifestOf(vmId: string, record: SnapshotRecord) {
  const { state: _, ...lasting } = record
  return { version: 1, vmId, ...lasting }
}

function manifestText(vmId: string, record: SnapshotRecord): string {
  return `${JSON.stringify(manifestOf(vmId, record), null, 2)}\n`
}
