import { DiskferryError, describe, type ErrorCode, systemCode } from '../../core/errors.ts'
import type { HeldPath, HoldBeneath } from '../../core/held-path.ts'
import type { PathResolver } from '../../core/mounts/path-resolver.ts'
import { isInside } from '../../core/repositories/paths.ts'
import { openRegularFile, readWhole } from '../regular-file.ts'

/** A repository's folder, and how to get at what lies in it. */
export interface RepositoryPlace {
  /** As the agent names it. */
  readonly mountPoint: string
  /** The same without links. */
  readonly root: string
  readonly resolver: PathResolver
  readonly hold: HoldBeneath
}

/**
 * Holds what a path of a repository leads to. A link is followed only to something of the same repository, and none
 * that is put there meanwhile.
 *
 * @throws `refusedCode` for what lies outside; the system's error
 */
export async function holdInRepository(
  { root, resolver, hold }: RepositoryPlace,
  path: string,
  refusedCode: ErrorCode,
): Promise<HeldPath> {
  const resolved = await resolver.resolve(path)
  if (isInside(root, resolved)) return hold(root, resolved)
  throw new DiskferryError(refusedCode, `${path} is a link out of its repository, to ${resolved}`)
}

/**
 * The bytes of a file of a repository.
 * @returns undefined when there is no such file
 * @throws `refusedCode` for anything but a regular file of at most `maxBytes`; INVENTORY_UNREADABLE
 */
export async function readRepositoryFile(
  place: RepositoryPlace,
  path: string,
  options: { readonly maxBytes: number; readonly refusedCode: ErrorCode },
): Promise<Buffer | undefined> {
  let opened: HeldPath
  try {
    opened = await holdInRepository(place, path, options.refusedCode)
  } catch (cause) {
    if (cause instanceof DiskferryError) throw cause
    if (systemCode(cause) === 'ENOENT') return undefined
    throw new DiskferryError('INVENTORY_UNREADABLE', `${path} can't be read: ${describe(cause)}`, { cause })
  }
  await using held = opened
  if (!held.stats.isFile()) throw new DiskferryError(options.refusedCode, `${path} is not a regular file`)
  await using file = await openRegularFile(held.path, { ...options, followLinks: true, name: path })
  return await readWhole(file)
}
