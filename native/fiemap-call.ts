import type { FileHandle } from 'node:fs/promises'
import { callAsync, ioctlPointer } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** _IOWR('f', 11, struct fiemap): include/uapi/linux/fs.h */
const FS_IOC_FIEMAP = 0xc020660b
/** Write dirty pages out first; without it they show as delayed, at address 0. */
const FIEMAP_FLAG_SYNC = 0x1

/** sizeof(struct fiemap) and sizeof(struct fiemap_extent): include/uapi/linux/fiemap.h */
const HEADER_BYTES = 32
const EXTENT_BYTES = 56
/** The most that one call gives. */
export const EXTENTS_PER_CALL = 4096

/** fe_flags of struct fiemap_extent: include/uapi/linux/fiemap.h */
export const FIEMAP_EXTENT = {
  LAST: 0x1,
  UNKNOWN: 0x2,
  DELALLOC: 0x4,
  ENCODED: 0x8,
  DATA_ENCRYPTED: 0x80,
  NOT_ALIGNED: 0x100,
  DATA_INLINE: 0x200,
  DATA_TAIL: 0x400,
  UNWRITTEN: 0x800,
  MERGED: 0x1000,
  SHARED: 0x2000,
} as const

/** struct fiemap_extent as the kernel gave it; bytes. Numbers beyond 2^53 - 1 arrive as Infinity. */
export interface FiemapExtent {
  readonly logical: number
  readonly physical: number
  readonly length: number
  readonly flags: number
}

export interface FiemapAnswer {
  readonly extents: readonly FiemapExtent[]
  /** Where the last extent ends; where the call began when there is none. */
  readonly end: bigint
}

/** For the calls of one caller, one after the other. */
export function fiemapBuffer(): Buffer {
  return Buffer.alloc(HEADER_BYTES + EXTENTS_PER_CALL * EXTENT_BYTES)
}

/**
 * One call: the first extents of the file that touch the range, after its dirty data is written out. All of them when there
 * are fewer than EXTENTS_PER_CALL.
 *
 * @throws SystemCallError: EOPNOTSUPP where the filesystem has no map
 */
export async function callFiemap(
  handle: FileHandle,
  path: string,
  start: bigint,
  length: bigint,
  buffer: Buffer,
): Promise<FiemapAnswer> {
  buffer.fill(0, 0, HEADER_BYTES)
  buffer.writeBigUInt64LE(start, 0)
  buffer.writeBigUInt64LE(length, 8)
  buffer.writeUInt32LE(FIEMAP_FLAG_SYNC, 16)
  buffer.writeUInt32LE(EXTENTS_PER_CALL, 24)
  const { value, errno } = await callAsync(ioctlPointer, handle.fd, FS_IOC_FIEMAP, buffer)
  if (value === -1) throw new SystemCallError('ioctl(FS_IOC_FIEMAP)', errno, path)

  const mapped = buffer.readUInt32LE(20)
  const extents: FiemapExtent[] = []
  for (let index = 0; index < mapped; index++) {
    const at = HEADER_BYTES + index * EXTENT_BYTES
    extents.push({
      logical: safeNumberAt(buffer, at),
      physical: safeNumberAt(buffer, at + 8),
      length: safeNumberAt(buffer, at + 16),
      flags: buffer.readUInt32LE(at + 40),
    })
  }
  if (mapped === 0) return { extents, end: start }
  const last = HEADER_BYTES + (mapped - 1) * EXTENT_BYTES
  return { extents, end: buffer.readBigUInt64LE(last) + buffer.readBigUInt64LE(last + 16) }
}

const TWO_POW_32 = 2 ** 32
/** Upper halves from here on make numbers beyond 2^53 - 1. */
const FIRST_UNSAFE_HALF = 2 ** 21

/** By halves: a disk of a million extents would make three million BigInts. */
function safeNumberAt(buffer: Buffer, at: number): number {
  const upper = buffer.readUInt32LE(at + 4)
  return upper < FIRST_UNSAFE_HALF ? upper * TWO_POW_32 + buffer.readUInt32LE(at) : Number.POSITIVE_INFINITY
}
