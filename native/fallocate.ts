import type { FileHandle } from 'node:fs/promises'
import { callAsync, fallocate64 } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** include/uapi/linux/falloc.h; fallocate(2) */
const KEEP_SIZE = 0x01
const PUNCH_HOLE = 0x02
const ZERO_RANGE = 0x10

const MODE = {
  allocate: 0,
  'keep-size': KEEP_SIZE,
  'punch-hole': PUNCH_HOLE | KEEP_SIZE,
  'zero-range': ZERO_RANGE,
} as const

export type FallocateOperation = keyof typeof MODE

/**
 * Allocates, discards or zeroes a range of an open, writable file; bytes.
 *
 * @throws SystemCallError: EOPNOTSUPP where the filesystem can't, ENOSPC, EFBIG
 */
export async function fallocate(
  handle: FileHandle,
  path: string,
  operation: FallocateOperation,
  offset: number,
  length: number,
): Promise<void> {
  const { value, errno } = await callAsync(fallocate64, handle.fd, MODE[operation], offset, length)
  if (value === -1) throw new SystemCallError(`fallocate(${operation})`, errno, path)
}
