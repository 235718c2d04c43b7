import type { FileHandle } from 'node:fs/promises'
import { callAsync, ioctlPointer } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** _IOR('X', 31, struct fsxattr), 28 bytes: include/uapi/linux/fs.h */
const FS_IOC_FSGETXATTR = 0x801c581f
const FSXATTR_BYTES = 28
const FS_XFLAG_REALTIME = 0x1

/** Does the file's data lie on XFS's realtime device? @throws SystemCallError */
export async function isRealtimeFile(handle: FileHandle, path: string): Promise<boolean> {
  const attributes = Buffer.alloc(FSXATTR_BYTES)
  const { value, errno } = await callAsync(ioctlPointer, handle.fd, FS_IOC_FSGETXATTR, attributes)
  if (value === -1) throw new SystemCallError('ioctl(FS_IOC_FSGETXATTR)', errno, path)
  return (attributes.readUInt32LE(0) & FS_XFLAG_REALTIME) !== 0
}
