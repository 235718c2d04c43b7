import { open, unlink } from 'node:fs/promises'
import { shownPath, systemCode } from 'diskferry/core'
import { cloneFile, ocfs2Reflink } from 'diskferry/native'
import { hasSpaceBehindEnd } from './space-behind-end.ts'

/** The system calls below a clone. */
export interface CloneCalls {
  readonly reflink: typeof ocfs2Reflink
  readonly ficlone: typeof cloneFile
  readonly hasSpaceBehindEnd: typeof hasSpaceBehindEnd
}

const CALLS: CloneCalls = { reflink: ocfs2Reflink, ficlone: cloneFile, hasSpaceBehindEnd }

/**
 * Refusals of the ioctl that FICLONE does not share: a kernel that dropped or never had the ioctl (ENOTTY), or may not run
 * it here (ENOSYS), and a disk that is immutable or append-only, which the ioctl makes no clone of (EPERM:
 * `ocfs2_vfs_reflink` of fs/ocfs2/refcounttree.c).
 */
const OF_THE_IOCTL_ALONE: ReadonlySet<string> = new Set(['ENOTTY', 'ENOSYS', 'EPERM'])

/** What a kernel says that has no FICLONE for OCFS2: ENOTTY before 4.5, EOPNOTSUPP before 4.10. */
const NO_FICLONE: ReadonlySet<string> = new Set(['ENOTTY', 'ENOSYS', 'EOPNOTSUPP'])

/**
 * By OCFS2's own ioctl, which every kernel with OCFS2 reflinks has. By FICLONE where only the ioctl refuses, and for
 * a disk that has space allocated behind its end: the ioctl's clone of it would count clusters that it does not have,
 * and whoever deletes that clone has the volume remounted read-only.
 *
 * @throws SystemCallError of the clone; Error for a disk that this kernel can't clone safely
 */
export async function cloneOnOcfs2(
  source: string,
  target: string,
  signal?: AbortSignal,
  calls = CALLS,
): Promise<void> {
  signal?.throwIfAborted()
  if (await calls.hasSpaceBehindEnd(source, signal))
    return cloneWithSpaceBehindEnd(source, target, signal, calls)
  try {
    await calls.reflink(source, target)
  } catch (error) {
    if (!OF_THE_IOCTL_ALONE.has(systemCode(error) ?? '')) throw error
    return calls.ficlone(source, target, signal)
  }
  try {
    await using handle = await open(target, 'r+')
    await handle.chmod(0o600)
    await handle.sync()
    signal?.throwIfAborted()
  } catch (error) {
    await unlink(target)
    throw error
  }
}

async function cloneWithSpaceBehindEnd(
  source: string,
  target: string,
  signal: AbortSignal | undefined,
  { ficlone }: CloneCalls,
): Promise<void> {
  try {
    await ficlone(source, target, signal)
  } catch (cause) {
    if (!NO_FICLONE.has(systemCode(cause) ?? '')) throw cause
    const file = shownPath(source)
    throw new Error(
      `'${file}' has space allocated behind its end, and on this kernel a clone of such a disk would damage the OCFS2 volume when it is deleted: stop the VM, give the space back with truncate --size=+0 '${file}', and take the snapshot again`,
      { cause },
    )
  }
}
