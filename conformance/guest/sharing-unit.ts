import type { FileHandle } from 'node:fs/promises'
import { filesystemStatus } from 'diskferry/native'

const BLOCK = 4096

/**
 * The bytes in which blocks can be shared without harm to their neighbours. On OCFS2 whole clusters, of up to 1 MiB:
 * Linux 6.1 takes any range of whole blocks, in FICLONERANGE and in FIDEDUPERANGE, then exchanges the clusters that it
 * touches, and with them what lies beside the range.
 */
export async function sharingUnit(handle: FileHandle, path: string): Promise<number> {
  const { filesystem } = await filesystemStatus(path)
  // st_blksize is the cluster size there: ocfs2_getattr() in fs/ocfs2/file.c.
  return filesystem === 'ocfs2' ? Math.max(BLOCK, (await handle.stat()).blksize) : BLOCK
}
