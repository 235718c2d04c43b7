import type { FileHandle } from 'node:fs/promises'
import { callFiemap, EXTENTS_PER_CALL, type FiemapExtent, fiemapBuffer } from './fiemap-call.ts'

/**
 * The extents that touch a range of the file (bytes), by one call. OCFS2 may answer nothing for a range that stops short of
 * the file's end: there, use fiemap().
 *
 * @returns undefined when there are more than one call gives
 * @throws SystemCallError: EOPNOTSUPP where the filesystem has no map
 */
export async function fiemapWindow(
  handle: FileHandle,
  path: string,
  start: number,
  length: number,
): Promise<readonly FiemapExtent[] | undefined> {
  const { extents } = await callFiemap(handle, path, BigInt(start), BigInt(length), fiemapBuffer())
  return extents.length < EXTENTS_PER_CALL ? extents : undefined
}
