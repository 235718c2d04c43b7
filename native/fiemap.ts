import type { FileHandle } from 'node:fs/promises'
import { callFiemap, FIEMAP_EXTENT, type FiemapExtent, fiemapBuffer } from './fiemap-call.ts'
import { SystemCallError } from './system-call-error.ts'

const MAX_U64 = 0xffff_ffff_ffff_ffffn
const EPROTO = 71

/**
 * The file's extents now, in batches, after its dirty data is written out. Pages by the end of the last extent
 * with the window always open to the end, because OCFS2 answers a shorter window with nothing.
 *
 * @param from bytes; the first extent may begin before it
 * @throws SystemCallError: EOPNOTSUPP where the filesystem has no map; EPROTO when the kernel's answer does
 * not move forward
 */
export async function* fiemap(
  handle: FileHandle,
  path: string,
  signal?: AbortSignal,
  from = 0,
): AsyncGenerator<readonly FiemapExtent[]> {
  const buffer = fiemapBuffer()
  for (let start = BigInt(from); ; ) {
    signal?.throwIfAborted()
    const { extents, end } = await callFiemap(handle, path, start, MAX_U64 - start, buffer)
    if (extents.length === 0) return
    yield extents
    if ((extents.at(-1)!.flags & FIEMAP_EXTENT.LAST) !== 0) return
    if (end <= start) throw new SystemCallError('ioctl(FS_IOC_FIEMAP)', EPROTO, path)
    if (end >= MAX_U64) return
    start = end
  }
}
