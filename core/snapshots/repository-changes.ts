import type { MountWatches } from '../mounts/mount-watches.ts'
import type { RepositoryLocks } from './repository-locks.ts'

/**
 * Runs a write to the database that belongs to a change of files. Refused once the change is abandoned: by then the lock
 * of the VM's record is given up, and the write would undo what somebody else has written.
 */
export type Commit = <Result>(write: () => Promise<Result>) => Promise<Result>

/** Changes of a VM's files and records while no other server, on another host either, changes its files. */
export class RepositoryChanges {
  readonly #watches: MountWatches
  readonly #locks: RepositoryLocks

  constructor(watches: MountWatches, locks: RepositoryLocks) {
    this.#watches = watches
    this.#locks = locks
  }

  /**
   * To be called with the VM's lock of `VmLocks` held. Goes on without the lock of a repository that is full or
   * read-only, where its file can't be made.
   *
   * @param roots of the repositories that hold the files
   * @param signal ends the wait for the locks; the work is not told of it
   * @throws REPOSITORY_NOT_RESPONDING; as `RepositoryLocks.hold`; what the work throws
   */
  async run<Result>(
    roots: readonly string[],
    vmId: string,
    work: (commit: Commit) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    if (roots.length === 0) return await work((write) => write())
    let written: Promise<unknown> | undefined
    const change = (abandoned: AbortSignal) => {
      const commit: Commit = async (write) => {
        abandoned.throwIfAborted()
        const writing = write()
        written = writing
        return await writing
      }
      const either = signal === undefined ? abandoned : AbortSignal.any([abandoned, signal])
      return this.#locks.hold(roots, vmId, () => work(commit), either, { evenIfFull: true })
    }
    try {
      return await this.#watches.call(roots, change)
    } finally {
      // The caller gives up the lock of the record next.
      await written?.catch(() => undefined)
    }
  }
}
