import type { OpenFile } from './clone-file.ts'
import { callAsync, ioctlPointer } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** _IOR('f', 1, long) and _IOW('f', 2, long), but the kernel reads and writes an int: ioctl_iflags(2) */
const FS_IOC_GETFLAGS = 0x80086601
const FS_IOC_SETFLAGS = 0x40086602
/** `chattr +C`: include/uapi/linux/fs.h */
const FS_NOCOW_FL = 0x00800000

/**
 * Gives the empty file `target` the no-copy-on-write flag (`chattr +C`) of `source`: btrfs clones only between
 * files that agree on it.
 *
 * @throws SystemCallError
 */
export async function copyNoCowFlag(source: OpenFile, target: OpenFile): Promise<void> {
  const [wanted, flags] = await Promise.all([inodeFlags(source), inodeFlags(target)])
  const matching = (flags & ~FS_NOCOW_FL) | (wanted & FS_NOCOW_FL)
  if (matching === flags) return
  const buffer = Buffer.alloc(8)
  buffer.writeInt32LE(matching, 0)
  const { value, errno } = await callAsync(ioctlPointer, target.handle.fd, FS_IOC_SETFLAGS, buffer)
  if (value === -1) throw new SystemCallError('ioctl(FS_IOC_SETFLAGS)', errno, target.path)
}

async function inodeFlags(file: OpenFile): Promise<number> {
  const buffer = Buffer.alloc(8)
  const { value, errno } = await callAsync(ioctlPointer, file.handle.fd, FS_IOC_GETFLAGS, buffer)
  if (value === -1) throw new SystemCallError('ioctl(FS_IOC_GETFLAGS)', errno, file.path)
  return buffer.readInt32LE(0)
}
