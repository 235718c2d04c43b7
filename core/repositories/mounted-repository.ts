import { systemCode } from '../errors.ts'
import type { Repository } from '../inventory.ts'
import type { PathResolver } from '../mounts/path-resolver.ts'
import type { Mount } from '../storage-backend.ts'
import type { MountGuard } from './mount-guard.ts'

export interface MountedRepository {
  readonly repository: Repository
  /** Its folder without links. */
  readonly root: string
  readonly mount: Mount
}

/**
 * A repository with its folder and mount, without asking a backend; undefined when it is not mounted.
 *
 * @throws REPOSITORY_NOT_RESPONDING, or the system's error
 */
export async function mountedRepository(
  repository: Repository,
  guard: MountGuard,
  resolver: PathResolver,
): Promise<MountedRepository | undefined> {
  try {
    const root = await resolver.resolve(repository.mountPoint)
    const mount = await guard.mountOf(root)
    return mount === undefined ? undefined : { repository, root, mount }
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
    throw error
  }
}
