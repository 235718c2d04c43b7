import { systemCode } from '../errors.ts'
import type { HoldBeneath } from '../held-path.ts'
import type { Repository } from '../inventory.ts'
import type { PathResolver } from '../mounts/path-resolver.ts'
import type { Mount } from '../storage-backend.ts'
import type { MountGuard } from './mount-guard.ts'
import { readStamps } from './repository-stamp.ts'

export interface MountedRepository {
  readonly repository: Repository
  /** Its folder without links. */
  readonly root: string
  readonly mount: Mount
  /** The first one, for what is found there; absent where it has none. */
  readonly stamp?: string
}

/**
 * A repository with its folder and mount, without asking a backend; undefined when it is not mounted.
 *
 * @throws REPOSITORY_NOT_RESPONDING, REPOSITORY_NOT_MOUNTED when it is unmounted meanwhile, or the system's error
 */
export async function mountedRepository(
  repository: Repository,
  guard: MountGuard,
  resolver: PathResolver,
  hold: HoldBeneath,
): Promise<MountedRepository | undefined> {
  try {
    const root = await resolver.resolve(repository.mountPoint)
    const mount = await guard.mountOf(root)
    if (mount === undefined) return undefined
    const stamps = await resolver.call(root, async () => {
      await using pinned = await guard.pin(root, hold, mount)
      return await readStamps(root, pinned.hold)
    })
    const [stamp] = typeof stamps === 'string' ? [] : stamps
    return { repository, root, mount, ...(stamp !== undefined && { stamp }) }
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
    throw error
  }
}
