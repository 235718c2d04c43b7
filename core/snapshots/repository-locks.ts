import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { backendFailure } from '../backends/backend-failure.ts'
import { DiskferryError, systemCode } from '../errors.ts'
import type { FileLocks } from '../file-lock.ts'
import type { HeldPath, HoldBeneath } from '../held-path.ts'
import type { Log } from '../log.ts'
import { ensureFolder } from '../repositories/ensure-folder.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import { SNAPSHOTS_FOLDER } from '../repositories/paths.ts'

const LOCKS_FOLDER = '.locks'
const FILE_NAME = /^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}$/

/** What filesystems without locks say, and NFS servers whose lock service does not run. */
const NO_LOCKS: ReadonlySet<string | undefined> = new Set(['ENOLCK', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS'])
const NO_NEW_FILE: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EROFS'])

export interface RepositoryLocksParts {
  readonly locks: FileLocks
  readonly guard: MountGuard
  readonly hold: HoldBeneath
  readonly log: Log
}

export interface RepositoryLockOptions {
  /** Go on without the lock of a repository that is full or read-only, where its file can't be made. */
  readonly evenIfFull?: boolean
  /** How long to wait for all of them together, when it is not the usual time. */
  readonly patienceMs?: number
}

/** Whom a lock is asked for, until when. */
interface Request {
  readonly vmId: string
  readonly patience: AbortSignal
  readonly patienceMs: number
  readonly signal: AbortSignal
  readonly evenIfFull: boolean
}

/**
 * One lock a VM in each repository, beside its snapshots: it holds between servers that have nothing else in common, on
 * hosts that share the filesystem too. Whoever takes the lock of `VmLocks` as well takes that first.
 */
export class RepositoryLocks {
  readonly #parts: RepositoryLocksParts
  readonly #patienceMs: number
  /** Repositories without locks that the log has told of. */
  readonly #lockless = new Set<string>()

  constructor(parts: RepositoryLocksParts, patienceMs: number) {
    this.#parts = parts
    this.#patienceMs = patienceMs
  }

  /**
   * Runs `work` while no other server makes or removes snapshots of this VM in these repositories. The caller watches
   * over their mounts.
   *
   * @param roots real paths; hosts that mount two repositories in another order may wait for each other until they are
   * out of patience
   * @throws VM_BUSY after waiting too long; ABORTED, or the signal's reason, when it says so while waiting;
   * REPOSITORY_NOT_MOUNTED, REPOSITORY_FULL, REPOSITORY_READ_ONLY; CLONE_FAILED, or INTERNAL with `evenIfFull`, when
   * there is something wrong with a lock's file
   */
  async hold<Result>(
    roots: readonly string[],
    vmId: string,
    work: () => Promise<Result>,
    signal: AbortSignal,
    { evenIfFull = false, patienceMs = this.#patienceMs }: RepositoryLockOptions = {},
  ): Promise<Result> {
    const patience = AbortSignal.timeout(patienceMs)
    const request = { vmId, patience, patienceMs, signal, evenIfFull }
    return await this.#holdAll([...new Set(roots)].sort(), request, work)
  }

  async #holdAll<Result>(
    [root, ...others]: readonly string[],
    request: Request,
    work: () => Promise<Result>,
  ): Promise<Result> {
    if (root === undefined) return await work()
    await using _lock = await this.#acquire(root, request)
    return await this.#holdAll(others, request, work)
  }

  async #acquire(root: string, request: Request): Promise<AsyncDisposable | undefined> {
    const { vmId, patience, signal, evenIfFull } = request
    const file = join(root, SNAPSHOTS_FOLDER, LOCKS_FOLDER, lockName(vmId))
    try {
      await using folder = await this.#folder(root)
      const either = AbortSignal.any([patience, signal])
      return await this.#parts.locks.acquire(join(folder.path, lockName(vmId)), either)
    } catch (error) {
      if (patience.aborted && !signal.aborted) throw busy(root, file, request, error)
      const code = systemCode(error)
      if (!signal.aborted && NO_LOCKS.has(code)) return this.#warnOfLockless(root, error)
      if (!signal.aborted && evenIfFull && NO_NEW_FILE.has(code)) {
        this.#parts.log.warn(
          { vm: vmId, repository: root, lock: file, err: error },
          'the lock of a VM in its repository could not be made, it goes on without: no other host may change snapshots of this VM now',
        )
        return undefined
      }
      const what = `VM ${vmId}: its lock '${file}' can't be had`
      throw backendFailure(error, evenIfFull ? 'INTERNAL' : 'CLONE_FAILED', what, signal)
    }
  }

  /**
   * The files stay when the locks are given up: another host may have looked one up and be about to lock it. It would
   * have a lock on a file without a name, and the next one a lock on a new file. NFS clients remember names for a
   * while, and an SMB server keeps a removed file, which nobody can open any more, until all have closed it.
   */
  async #folder(root: string): Promise<HeldPath> {
    const { guard, hold } = this.#parts
    await using pinned = await guard.pin(root, hold)
    const snapshots = join(root, SNAPSHOTS_FOLDER)
    await ensureFolder(pinned.at(snapshots))
    await using parent = await pinned.hold(root, snapshots)
    await ensureFolder(join(parent.path, LOCKS_FOLDER), 0o700)
    return await pinned.hold(root, join(snapshots, LOCKS_FOLDER))
  }

  #warnOfLockless(root: string, error: unknown): undefined {
    if (this.#lockless.has(root)) return
    this.#lockless.add(root)
    this.#parts.log.warn(
      { repository: root, err: error },
      'the filesystem of a repository has no locks: servers that share it are not kept apart, let only one of them change the snapshots of a VM',
    )
  }
}

/** An id may hold what a file name may not. */
function lockName(vmId: string): string {
  return FILE_NAME.test(vmId) ? vmId : createHash('sha256').update(vmId).digest('hex')
}

function busy(root: string, file: string, { vmId, patienceMs }: Request, cause: unknown): DiskferryError {
  return new DiskferryError(
    'VM_BUSY',
    `VM ${vmId} is busy: another server, which may be on another host, is making or deleting a snapshot of it in the repository '${root}' for more than ${patienceMs / 1000} s and holds the lock '${file}' (\`lslocks\` on that host tells which process it is); try again later`,
    { cause },
  )
}
