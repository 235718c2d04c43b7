import { open } from 'node:fs/promises'
import { DiskferryError } from '../errors.ts'
import type { HeldFolders } from './held-folders.ts'
import { type Removal, removeTree } from './remove-tree.ts'

/**
 * Removes what was made of a snapshot whose repository was unmounted lazily meanwhile, through the folders that are
 * still held: when they are let go the filesystem is gone, and nobody finds them before it is mounted again.
 *
 * @param error why the snapshot could not be made
 * @returns whether nothing is left of it; false too where the repositories are mounted, and it is removed as any other
 */
export async function takeBack(error: unknown, folders: HeldFolders, snapshotId: string): Promise<boolean> {
  if (!(error instanceof DiskferryError) || error.code !== 'REPOSITORY_NOT_MOUNTED') return false
  try {
    const removals: Removal[] = []
    for (const folder of folders.paths()) removals.push(await removeHeld(folder, snapshotId))
    return !removals.includes('held')
  } catch {
    // It is tried again when the repository is back, and says then what is wrong.
    return false
  }
}

async function removeHeld(folder: string, snapshotId: string): Promise<Removal> {
  // Not join(), which would take the descriptor away instead of asking the kernel for the folder above.
  await using parent = await open(`${folder}/..`, 'r')
  const removal = await removeTree(`/proc/self/fd/${parent.fd}`, snapshotId)
  await parent.sync()
  return removal
}
