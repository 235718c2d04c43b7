import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, link, open, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describeError, shownPath } from 'diskferry/core'
import { faultPoint } from '../core/fault-points.ts'
import { callAsync, ioctlNumber } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

export interface OpenFile {
  readonly handle: FileHandle
  readonly path: string
}

/** _IOW(0x94, 9, int): include/uapi/linux/fs.h */
const FICLONE = 0x40049409

/** Opening a FIFO must not wait for a writer. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK

/**
 * Makes the open file `target` share all the blocks of `source`; ioctl_ficlone(2).
 * @throws SystemCallError: EOPNOTSUPP where the filesystem can't, EXDEV between two filesystems,
 * ENOSPC, EROFS, EPERM, ETXTBSY
 */
export async function ficlone(source: OpenFile, target: OpenFile): Promise<void> {
  const { value, errno } = await callAsync(ioctlNumber, target.handle.fd, FICLONE, source.handle.fd)
  if (value === -1) throw new SystemCallError('ioctl(FICLONE)', errno, source.path, target.path)
}

/**
 * Clones `source` to the new file `target` (mode 0600) by FICLONE, whole or not at all: the clone is made, synced and
 * closed under a hidden name in the target's folder and gets its own name last.
 *
 * @param prepare what a filesystem needs done to the empty target before
 * @param publish gives the hidden file the target's name, or fails with EEXIST where something has it; by hard link when
 * left out
 * @throws SystemCallError of the clone, or the error of opening, syncing or publishing
 */
export async function cloneFile(
  source: string,
  target: string,
  signal?: AbortSignal,
  prepare?: (source: OpenFile, target: OpenFile) => Promise<void>,
  publish: (hidden: string, target: string) => Promise<void> = moveByLink,
): Promise<void> {
  signal?.throwIfAborted()
  await using sourceHandle = await open(source, READ_FLAGS)
  const hidden = join(dirname(target), `.clone-${randomBytes(9).toString('hex')}`)
  const hiddenHandle = await open(hidden, 'wx', 0o600)
  try {
    faultPoint('clone.hidden')
    {
      await using targetHandle = hiddenHandle
      const files = [
        { handle: sourceHandle, path: source },
        { handle: targetHandle, path: target },
      ] as const
      await prepare?.(...files)
      await ficlone(...files)
      faultPoint('clone.filled')
      await targetHandle.sync()
    }
    signal?.throwIfAborted()
    await publish(hidden, target)
  } catch (error) {
    await unlink(hidden).catch((cleanup: unknown) => {
      throw new AggregateError(
        [error, cleanup],
        `${describeError(error)}; '${shownPath(hidden)}' is left over: ${describeError(cleanup)}`,
      )
    })
    throw error
  }
}

async function moveByLink(hidden: string, target: string): Promise<void> {
  await link(hidden, target)
  faultPoint('clone.named')
  await unlink(hidden)
}
