import { DiskferryError } from '../errors.ts'
import type { MountTable } from '../mount-table.ts'
import type { Mount } from '../storage-backend.ts'
import { longestParent } from './paths.ts'

/** Tells what is mounted on a repository's folder, so that nothing is ever written below an empty mount point. */
export class MountGuard {
  readonly #mounts: MountTable
  readonly #requireMountPoint: boolean

  /** @param requireMountPoint false lets a repository be a plain folder on a larger filesystem */
  constructor(mounts: MountTable, requireMountPoint: boolean) {
    this.#mounts = mounts
    this.#requireMountPoint = requireMountPoint
  }

  /** The mount that holds `path`, a real path without links. */
  async holding(path: string): Promise<Mount | undefined> {
    return longestParent(await this.#mounts.list(), (mount) => mount.mountPoint, path)
  }

  /** The mount of the repository whose folder is `root`, a real path; undefined when it is not mounted. */
  async mountOf(root: string): Promise<Mount | undefined> {
    const mount = await this.holding(root)
    return this.#requireMountPoint && mount?.mountPoint !== root ? undefined : mount
  }

  /** @throws REPOSITORY_NOT_MOUNTED, also when something other than `expected` is mounted there now */
  async assertMounted(root: string, expected?: Mount): Promise<Mount> {
    const mount = await this.mountOf(root)
    if (mount !== undefined && (expected === undefined || isSameMount(mount, expected))) return mount
    throw new DiskferryError(
      'REPOSITORY_NOT_MOUNTED',
      mount === undefined
        ? `nothing is mounted on the repository '${root}': mount it, then try again`
        : `the repository '${root}' was mounted anew (now ${mount.source}, ${mount.filesystem}) while it was in use: try again`,
      { clientMessage: 'A repository that this needs is not mounted on the host; nothing was changed.' },
    )
  }
}

function isSameMount(left: Mount, right: Mount): boolean {
  return left.mountId === right.mountId && left.device === right.device && left.root === right.root
}
