import { constants } from 'node:fs'
import { type FileHandle, open, readdir, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'

const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/**
 * Removes a folder with all in it, as far as it is there. Unlike node's `rm`, which looks at each name and opens it
 * later, it goes down only through folders that it holds: a link, also one put there meanwhile, is removed and never
 * followed.
 *
 * @param parent path of the folder it lies in, through a descriptor: its own names must not change
 * @throws the system's error
 */
export async function removeTree(parent: string, name: string): Promise<void> {
  const path = join(parent, name)
  let folder: FileHandle
  try {
    folder = await open(path, FOLDER_FLAGS)
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT') return
    if (code !== 'ENOTDIR' && code !== 'ELOOP') throw error
    return unlinkIfThere(path)
  }
  {
    await using held = folder
    const inside = `/proc/self/fd/${held.fd}`
    for (const entry of await readdir(inside, { withFileTypes: true })) {
      if (entry.isDirectory()) await removeTree(inside, entry.name)
      else await unlinkIfThere(join(inside, entry.name))
      faultPoint('remove.file')
    }
    faultPoint('remove.emptied')
  }
  await rmdir(path)
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}
