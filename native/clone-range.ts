import type { OpenFile } from './clone-file.ts'
import { callAsync, ioctlPointer } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** _IOW(0x94, 13, struct file_clone_range), 32 bytes: include/uapi/linux/fs.h */
const FICLONERANGE = 0x4020940d
const FILE_CLONE_RANGE_BYTES = 32

/**
 * Lets a range of `target` share the blocks of a range of `source`; ioctl_ficlonerange(2). Offsets and length in bytes,
 * on the filesystem's block grid.
 *
 * @throws SystemCallError: EINVAL off the grid, EOPNOTSUPP, EXDEV, ENOSPC
 */
export async function cloneRange(
  source: OpenFile,
  sourceOffset: number,
  target: OpenFile,
  targetOffset: number,
  length: number,
): Promise<void> {
  const request = Buffer.alloc(FILE_CLONE_RANGE_BYTES)
  request.writeBigInt64LE(BigInt(source.handle.fd), 0)
  request.writeBigUInt64LE(BigInt(sourceOffset), 8)
  request.writeBigUInt64LE(BigInt(length), 16)
  request.writeBigUInt64LE(BigInt(targetOffset), 24)
  const { value, errno } = await callAsync(ioctlPointer, target.handle.fd, FICLONERANGE, request)
  if (value === -1) throw new SystemCallError('ioctl(FICLONERANGE)', errno, source.path, target.path)
}
