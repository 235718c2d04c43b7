import { open } from 'node:fs/promises'
import { systemCode } from 'diskferry/core'
import { FIEMAP_EXTENT, fiemap } from 'diskferry/native'

/**
 * Does a file have clusters allocated behind its end, as fallocate(2) with KEEP_SIZE leaves them?
 *
 * @throws SystemCallError, or the error of opening the file
 */
export async function hasSpaceBehindEnd(file: string, signal?: AbortSignal): Promise<boolean> {
  await using handle = await open(file, 'r')
  // On OCFS2 st_blksize is the cluster size: ocfs2_getattr() in fs/ocfs2/file.c.
  const { size, blksize } = await handle.stat()
  const firstCluster = Math.ceil(size / blksize) * blksize
  try {
    for await (const [first] of fiemap(handle, file, signal, firstCluster)) {
      // A file without clusters keeps its bytes in the inode, and FIEMAP calls the room there an extent.
      return first !== undefined && (first.flags & FIEMAP_EXTENT.DATA_INLINE) === 0
    }
  } catch (error) {
    // The file ends where files of this volume must end.
    if (systemCode(error) !== 'EFBIG') throw error
  }
  return false
}
