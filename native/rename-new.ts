import { faultPoint } from '../core/fault-points.ts'
import { callAsync, renameat2 } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** <fcntl.h> */
const AT_FDCWD = -100
/** include/uapi/linux/fs.h */
const RENAME_NOREPLACE = 1

/**
 * Gives a file a name that nothing has yet; rename(2). Over SMB the client looks whether the name is free, and then the server
 * replaces whatever is there: two clients that take the same name at the same moment are not kept apart.
 *
 * @throws SystemCallError: EEXIST, EINVAL where the filesystem has no such rename, EXDEV, ENOENT
 */
export async function renameNew(from: string, to: string): Promise<void> {
  const { value, errno } = await callAsync(renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE)
  if (value === -1) throw new SystemCallError('renameat2(RENAME_NOREPLACE)', errno, from, to)
  faultPoint('clone.renamed')
}
