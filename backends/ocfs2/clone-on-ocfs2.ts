import { open, unlink } from 'node:fs/promises'
import { systemCode } from 'diskferry/core'
import { cloneFile, ocfs2Reflink } from 'diskferry/native'

/**
 * Refusals of the ioctl that say nothing of the file or the filesystem, so that FICLONE may do better: a kernel that
 * dropped or never had the ioctl (ENOTTY), or may not run it here (ENOSYS).
 */
const ONLY_THE_CALL_IS_MISSING: ReadonlySet<string> = new Set(['ENOTTY', 'ENOSYS'])

/**
 * By OCFS2's own ioctl, which every kernel with OCFS2 reflinks has; by FICLONE where only the ioctl is missing.
 *
 * @throws SystemCallError of the clone
 */
export async function cloneOnOcfs2(source: string, target: string, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted()
  try {
    await ocfs2Reflink(source, target)
  } catch (error) {
    if (!ONLY_THE_CALL_IS_MISSING.has(systemCode(error) ?? '')) throw error
    return cloneFile(source, target, signal)
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
