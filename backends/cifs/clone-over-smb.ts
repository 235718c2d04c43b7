import { open } from 'node:fs/promises'
import { cloneFile, fallocate, renameNew } from 'diskferry/native'

/**
 * Clones to a hidden file, and renames that. A hard link would not do: the client keeps one lease for all names of a file, a
 * lease is good for one name (MS-SMB2 3.3.5.9.8), and so whoever opens the target while the hidden name is open, or was a
 * second ago, gets EINVAL. ReFS before Windows Server 2022 has no hard links at all.
 *
 * @throws SystemCallError of the clone or the rename
 */
export function cloneOverSmb(source: string, target: string, signal?: AbortSignal): Promise<void> {
  return cloneFile(source, target, signal, undefined, publish)
}

async function publish(hidden: string, target: string): Promise<void> {
  await renameNew(hidden, target)
  // The clone is whole, and that it is stored sparse decides only how long its map is.
  await markSparse(target).catch(() => undefined)
}

/**
 * Samba calls all of a file allocated that is not marked sparse, and takes the mark away when it renames one (4.17:
 * rename_internals_fsp() sets the archive bit and forgets this one). The client sends it before it punches a hole, which is
 * none behind the end.
 */
async function markSparse(file: string): Promise<void> {
  await using handle = await open(file, 'r+')
  const { size } = await handle.stat()
  await fallocate(handle, file, 'punch-hole', size, 1)
}
