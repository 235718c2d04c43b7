import { DiskferryError, describe, type ErrorCode, systemCode } from '../../core/errors.ts'
import type { PathResolver } from '../../core/mounts/path-resolver.ts'
import { isInside } from '../../core/repositories/paths.ts'
import { openRegularFile, readWhole } from '../regular-file.ts'

export interface RepositoryPlace {
  /** As the agent names it. */
  readonly mountPoint: string
  /** The same without links. */
  readonly root: string
  readonly resolver: PathResolver
}

/**
 * The bytes of a file of a repository. A link is followed only to a regular file of the same repository.
 * @returns undefined when there is no such file
 * @throws `refusedCode` for anything but a regular file of at most `maxBytes`; INVENTORY_UNREADABLE
 */
export async function readRepositoryFile(
  { root, resolver }: Omit<RepositoryPlace, 'mountPoint'>,
  path: string,
  options: { readonly maxBytes: number; readonly refusedCode: ErrorCode },
): Promise<Buffer | undefined> {
  let resolved: string
  try {
    resolved = await resolver.resolve(path)
  } catch (cause) {
    if (cause instanceof DiskferryError) throw cause
    if (systemCode(cause) === 'ENOENT') return undefined
    throw new DiskferryError('INVENTORY_UNREADABLE', `${path} can't be read: ${describe(cause)}`, { cause })
  }
  if (!isInside(root, resolved)) {
    throw new DiskferryError(options.refusedCode, `${path} is a link out of its repository, to ${resolved}`)
  }
  await using file = await openRegularFile(resolved, { ...options, followLinks: false })
  return await readWhole(file)
}
