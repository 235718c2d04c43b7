import { constants } from 'node:fs'
import { type FileHandle, open, readdir, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import { RETIRED_NAME } from './snapshot-manifest.ts'

/** `held`: nothing is left but what is gone as soon as those who have it open close it; the folder stays until then. */
export type Removal = 'gone' | 'held'

/** What an NFS client renames a file to that is removed while it is open there, until it is closed; nfs(5) of Linux. */
const RENAMED_WHILE_OPEN = /^\.nfs[0-9a-f]{8,}$/

const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/**
 * Removes a folder with all in it, as far as it is there. Unlike node's `rm`, which looks at each name and opens it
 * later, it goes down only through folders that it holds: a link, also one put there meanwhile, is removed and never
 * followed.
 *
 * On NFS and SMB a file that somebody reads does not go at once: the NFS client gives it another name, the SMB server goes
 * on listing it, and the folder is not empty for as long.
 *
 * @param parent path of the folder it lies in, through a descriptor: its own names must not change
 * @throws the system's error
 */
export async function removeTree(parent: string, name: string): Promise<Removal> {
  const path = join(parent, name)
  let folder: FileHandle
  try {
    folder = await open(path, FOLDER_FLAGS)
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT') return 'gone'
    if (code !== 'ENOTDIR' && code !== 'ELOOP') throw error
    await unlinkIfThere(path)
    return 'gone'
  }
  const removed = new Set<string>()
  {
    await using held = folder
    const inside = `/proc/self/fd/${held.fd}`
    const entries = await readdir(inside, { withFileTypes: true })
    // Last what says that it is being deleted, or the rest would pass for files that somebody may adopt.
    const last = entries.filter(({ name }) => name === RETIRED_NAME)
    for (const entry of [...entries.filter(({ name }) => name !== RETIRED_NAME), ...last]) {
      if (entry.isDirectory()) await removeTree(inside, entry.name)
      else await unlinkUnlessHeld(inside, entry.name)
      removed.add(entry.name)
      faultPoint('remove.file')
    }
    faultPoint('remove.emptied')
  }
  try {
    await rmdir(path)
    return 'gone'
  } catch (error) {
    if (systemCode(error) === 'ENOTEMPTY' && (await isHeld(path, removed))) return 'held'
    throw error
  }
}

/** Is nothing in it but what was removed? What somebody put there meanwhile is not waited for. */
async function isHeld(path: string, removed: ReadonlySet<string>): Promise<boolean> {
  await using folder = await open(path, FOLDER_FLAGS)
  const names = await readdir(`/proc/self/fd/${folder.fd}`)
  return names.every((name) => removed.has(name) || RENAMED_WHILE_OPEN.test(name))
}

async function unlinkUnlessHeld(folder: string, name: string): Promise<void> {
  try {
    await unlinkIfThere(join(folder, name))
  } catch (error) {
    if (systemCode(error) !== 'EBUSY' || !RENAMED_WHILE_OPEN.test(name)) throw error
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}
