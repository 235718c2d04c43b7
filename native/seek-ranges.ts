import type { FileHandle } from 'node:fs/promises'
import { callAsync, lseek64 } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** include/uapi/linux/fs.h; lseek(2) */
const SEEK_DATA = 3
const SEEK_HOLE = 4
const ENXIO = 6

const RANGES_PER_BATCH = 1024

export interface DataRange {
  /** Bytes. */
  readonly start: number
  readonly length: number
}

/**
 * The ranges that SEEK_DATA and SEEK_HOLE call data, ascending, up to `size` bytes, in batches. A filesystem
 * may call a hole data, never the other way round. Moves the handle's file offset.
 *
 * @param behind says for each range how many bytes behind it to take for data without asking
 * @throws SystemCallError
 */
export async function* seekDataRanges(
  handle: FileHandle,
  path: string,
  size: number,
  signal?: AbortSignal,
  behind: (range: DataRange) => number = () => 0,
): AsyncGenerator<readonly DataRange[]> {
  let batch: DataRange[] = []
  let position = 0
  while (position < size) {
    signal?.throwIfAborted()
    const start = await seek(handle, path, position, SEEK_DATA)
    if (start === undefined || start >= size) break
    const hole = await seek(handle, path, start, SEEK_HOLE)
    const asked = Math.min(hole ?? size, size)
    if (start < position || asked <= start) throw new SystemCallError('lseek', 71, path)
    const end = Math.min(asked + behind({ start, length: asked - start }), size)
    batch.push({ start, length: end - start })
    if (batch.length === RANGES_PER_BATCH) {
      yield batch
      batch = []
    }
    position = end
  }
  if (batch.length > 0) yield batch
}

/** Undefined when there is nothing more of that kind (ENXIO). */
async function seek(
  handle: FileHandle,
  path: string,
  offset: number,
  whence: typeof SEEK_DATA | typeof SEEK_HOLE,
): Promise<number | undefined> {
  const { value, errno } = await callAsync(lseek64, handle.fd, offset, whence)
  if (typeof value === 'bigint') throw new SystemCallError('lseek', 75, path)
  if (value !== -1) return value
  if (errno === ENXIO) return undefined
  throw new SystemCallError(whence === SEEK_DATA ? 'lseek(SEEK_DATA)' : 'lseek(SEEK_HOLE)', errno, path)
}
