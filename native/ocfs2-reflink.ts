import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { callAsync, ioctlReflink } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** _IOW('o', 4, struct reflink_arguments): fs/ocfs2/ocfs2_ioctl.h */
const OCFS2_IOC_REFLINK = 0x40186f04

/**
 * Makes the new file `target` a clone of `source` on OCFS2, owned by this process (preserve = 0). The only clone that
 * 4.1 kernels know. The filesystem builds it in its orphan folder and moves it to its name when it is whole, so nothing
 * half-made is ever seen under that name.
 *
 * @throws SystemCallError: EEXIST, ENOTTY on another filesystem, EOPNOTSUPP without the refcount feature, EXDEV, ENOSPC
 */
export async function ocfs2Reflink(source: string, target: string): Promise<void> {
  // The kernel takes both paths from the arguments; the descriptor says only which filesystem is asked.
  await using handle = await open(source, constants.O_RDONLY | constants.O_NONBLOCK)
  const request = { old_path: source, new_path: target, preserve: 0 }
  const { value, errno } = await callAsync(ioctlReflink, handle.fd, OCFS2_IOC_REFLINK, request)
  if (value === -1) throw new SystemCallError('ioctl(OCFS2_IOC_REFLINK)', errno, source, target)
}
