import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { DiskferryError, systemCode } from '../errors.ts'
import { isThere } from '../is-there.ts'
import { SNAPSHOT_ID, syncFolder } from '../snapshots/snapshot-folder.ts'
import { MANIFEST_NAME } from '../snapshots/snapshot-manifest.ts'
import { MARK_PREFIX } from '../vms/disk-names.ts'
import type { DistrustedPair } from './audit-store.ts'

/**
 * Marks in the folder of the newer snapshot that its difference to an older one was found wrong: a file for each older
 * one, of which only the name counts. Whatever became of what is in it, which is for people, the pair stays distrusted.
 * On the disk when this returns.
 *
 * @param folder held
 * @throws the system's error
 */
export async function markDistrusted(folder: string, pair: DistrustedPair): Promise<void> {
  // Whoever removes the files of a snapshot does not expect new ones.
  if (!(await isThere(join(folder, MANIFEST_NAME)))) return
  let file: FileHandle
  try {
    file = await open(markFile(folder, pair.compareTo), 'wx', 0o640)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
    return await syncFolder(folder)
  }
  {
    await using handle = file
    await handle.writeFile(`${JSON.stringify({ version: 1, ...pair }, null, 2)}\n`)
    await handle.sync()
  }
  await syncFolder(folder)
}

/** @param folder held @throws the system's error */
export function isMarkedDistrusted(folder: string, compareTo: string): Promise<boolean> {
  return isThere(markFile(folder, compareTo))
}

function markFile(folder: string, compareTo: string): string {
  if (!SNAPSHOT_ID.test(compareTo))
    throw new DiskferryError('INTERNAL', `${JSON.stringify(compareTo)} is not a snapshot id`)
  return join(folder, `${MARK_PREFIX}${compareTo}.json`)
}
