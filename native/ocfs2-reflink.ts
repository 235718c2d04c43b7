import { constants } from 'node:fs'
import { type FileHandle, lstat, open, readlink, unlink } from 'node:fs/promises'
import { constants as system } from 'node:os'
import { basename, dirname } from 'node:path'
import { faultPoint } from '../core/fault-points.ts'
import { callAsync, ioctlReflink } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** _IOW('o', 4, struct reflink_arguments): fs/ocfs2/ocfs2_ioctl.h */
const OCFS2_IOC_REFLINK = 0x40186f04

/** Finds a folder without the right to read it; the same number on x86-64 and arm64. */
const O_PATH = 0o10000000

/**
 * Makes the new file `target` a clone of `source` on OCFS2, owned by this process (preserve = 0). The only clone that
 * 4.1 kernels know. The filesystem builds it in its orphan folder and moves it to its name when it is whole, so nothing
 * half-made is ever seen under that name.
 *
 * The kernel takes both paths from the arguments, and does not follow a link at the end of the old one
 * (ocfs2_reflink_ioctl() in fs/ocfs2/refcounttree.c looks it up with no flags): neither one that somebody put there nor
 * `/proc/<pid>/fd/<n>`. So it gets the name that the open file has in its folder, which is held: what is cloned is a
 * regular file of that very folder, and it is looked at before and after whether it is the open one.
 *
 * @throws SystemCallError: EEXIST, ENOTTY on another filesystem, EOPNOTSUPP without the refcount feature, EXDEV, ENOSPC;
 * ESTALE when the source got another name meanwhile
 */
export async function ocfs2Reflink(source: string, target: string): Promise<void> {
  await using handle = await open(source, constants.O_RDONLY | constants.O_NONBLOCK)
  const path = await readlink(`/proc/self/fd/${handle.fd}`)
  await using folder = await open(dirname(path), O_PATH | constants.O_DIRECTORY)
  const name = `/proc/self/fd/${folder.fd}/${basename(path)}`
  await assertSame(handle, name, path)
  const request = { old_path: name, new_path: target, preserve: 0 }
  const { value, errno } = await callAsync(ioctlReflink, handle.fd, OCFS2_IOC_REFLINK, request)
  if (value === -1) throw new SystemCallError('ioctl(OCFS2_IOC_REFLINK)', errno, path, target)
  faultPoint('clone.reflinked')
  try {
    await assertSame(handle, name, path)
  } catch (error) {
    await unlink(target)
    throw error
  }
}

async function assertSame(handle: FileHandle, name: string, shown: string): Promise<void> {
  const [opened, named] = await Promise.all([handle.stat({ bigint: true }), lstat(name, { bigint: true })])
  if (opened.ino !== named.ino || opened.dev !== named.dev) {
    throw new SystemCallError('ioctl(OCFS2_IOC_REFLINK)', system.errno.ESTALE, shown)
  }
}
