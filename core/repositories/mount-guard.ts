import type { FileHandle } from 'node:fs/promises'
import { DiskferryError, systemCode } from '../errors.ts'
import type { HoldBeneath } from '../held-path.ts'
import type { MountTable } from '../mount-table.ts'
import type { Mount } from '../storage-backend.ts'
import { longestParent } from './paths.ts'
import { mountIdOf, openRoot, type PinnedRoot, pinnedRoot } from './pinned-root.ts'

const NO_FOLDER: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP'])
const CLIENT_MESSAGE = 'A repository that this needs is not mounted on the host; nothing was changed.'

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
    throw mount === undefined ? notMounted(root) : mountedAnew(root, mount)
  }

  /**
   * Holds the repository's folder on the mount that is there now. To be called under the watch of its mount.
   * @throws as `assertMounted`, or the system's error
   */
  async pin(root: string, hold: HoldBeneath, expected?: Mount): Promise<PinnedRoot> {
    let handle: FileHandle
    try {
      handle = await openRoot(root)
    } catch (error) {
      await this.assertMounted(root, expected)
      throw NO_FOLDER.has(systemCode(error)) ? notMounted(root, error) : error
    }
    try {
      const mount = await this.assertMounted(root, expected)
      const opened = (await mountIdOf(handle)) ?? mount.mountId
      if (opened !== mount.mountId) throw mountedAnew(root, mount)
      return pinnedRoot(handle, root, mount, hold)
    } catch (error) {
      await handle.close()
      throw error
    }
  }
}

function notMounted(root: string, cause?: unknown): DiskferryError {
  const message = `nothing is mounted on the repository '${root}': mount it, then try again`
  return new DiskferryError('REPOSITORY_NOT_MOUNTED', message, { cause, clientMessage: CLIENT_MESSAGE })
}

function mountedAnew(root: string, { source, filesystem }: Mount): DiskferryError {
  const message = `the repository '${root}' was mounted anew (now ${source}, ${filesystem}) while it was in use: try again`
  return new DiskferryError('REPOSITORY_NOT_MOUNTED', message, { clientMessage: CLIENT_MESSAGE })
}

function isSameMount(left: Mount, right: Mount): boolean {
  return left.mountId === right.mountId && left.device === right.device && left.root === right.root
}
