import type { OpenFile } from './clone-file.ts'
import { callAsync, ioctlPointer } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** _IOWR(0x94, 54, struct file_dedupe_range): include/uapi/linux/fs.h */
const FIDEDUPERANGE = 0xc0189436
/** sizeof(struct file_dedupe_range) with one struct file_dedupe_range_info behind it */
const BYTES = 24 + 32
const FILE_DEDUPE_RANGE_DIFFERS = 1

/**
 * Lets two ranges that hold the same bytes share their blocks; ioctl_fideduperange(2). The target must be open for
 * writing.
 *
 * @param length bytes; the kernel may do less
 * @returns the bytes that are shared now, 0 when the ranges differ
 * @throws SystemCallError: EOPNOTSUPP where the filesystem can't, EINVAL for ranges off the block grid, EXDEV
 */
export async function dedupeRange(
  source: OpenFile,
  sourceOffset: number,
  target: OpenFile,
  targetOffset: number,
  length: number,
): Promise<number> {
  const request = Buffer.alloc(BYTES)
  request.writeBigUInt64LE(BigInt(sourceOffset), 0)
  request.writeBigUInt64LE(BigInt(length), 8)
  request.writeUInt16LE(1, 16)
  request.writeBigInt64LE(BigInt(target.handle.fd), 24)
  request.writeBigUInt64LE(BigInt(targetOffset), 32)
  const { value, errno } = await callAsync(ioctlPointer, source.handle.fd, FIDEDUPERANGE, request)
  if (value === -1) throw new SystemCallError('ioctl(FIDEDUPERANGE)', errno, source.path, target.path)
  const status = request.readInt32LE(48)
  if (status < 0) throw new SystemCallError('ioctl(FIDEDUPERANGE)', -status, source.path, target.path)
  return status === FILE_DEDUPE_RANGE_DIFFERS ? 0 : Number(request.readBigUInt64LE(40))
}
