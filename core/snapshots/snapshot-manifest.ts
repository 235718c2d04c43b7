import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { SnapshotRecord } from './snapshot-record.ts'

const MANIFEST_NAME = 'snapshot.json'

/**
 * Writes `snapshot.json` beside a snapshot's disks: all that the database knows of the snapshot, so that the database
 * can be made anew from these files. Whole or absent, and on the disk when this returns.
 */
export async function writeManifest(folder: string, vmId: string, record: SnapshotRecord): Promise<void> {
  const { state: _, ...lasting } = record
  const temporary = join(folder, `.${MANIFEST_NAME}.new`)
  {
    await using handle = await open(temporary, 'wx', 0o640)
    await handle.writeFile(`${JSON.stringify({ version: 1, vmId, ...lasting }, null, 2)}\n`)
    await handle.sync()
  }
  await rename(temporary, join(folder, MANIFEST_NAME))
}
