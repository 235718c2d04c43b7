import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DiskferryError, describe } from '../errors.ts'
import type { FileLocks } from '../file-lock.ts'

/** One lock a VM, held across processes that use the same database. */
export class VmLocks {
  readonly #locks: FileLocks
  readonly #directory: string
  readonly #patienceMs: number

  /** @param directory for the lock files; made when absent */
  constructor(locks: FileLocks, directory: string, patienceMs: number) {
    this.#locks = locks
    this.#directory = directory
    this.#patienceMs = patienceMs
  }

  /**
   * Runs `work` while nobody else changes this VM's snapshots.
   *
   * @param patienceMs how long to wait for the lock
   * @throws VM_BUSY after waiting too long; ABORTED when the signal says so while waiting
   */
  async hold<Result>(
    vmId: string,
    work: () => Promise<Result>,
    signal?: AbortSignal,
    patienceMs = this.#patienceMs,
  ): Promise<Result> {
    const patience = AbortSignal.timeout(patienceMs)
    // A hash, because an id may hold what a file name may not.
    const name = createHash('sha256').update(vmId).digest('hex').slice(0, 32)
    let lock: AsyncDisposable
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      const either = signal === undefined ? patience : AbortSignal.any([patience, signal])
      lock = await this.#locks.acquire(join(this.#directory, `${name}.lock`), either)
    } catch (error) {
      if (signal?.aborted)
        throw new DiskferryError('ABORTED', `VM ${vmId}: aborted while waiting`, { cause: error })
      if (patience.aborted) {
        throw new DiskferryError(
          'VM_BUSY',
          `VM ${vmId} is busy: another snapshot of it is being made or deleted for more than ${patienceMs / 1000} s; try again later`,
          { cause: error },
        )
      }
      throw new DiskferryError(
        'STORE_FAILED',
        `the lock of VM ${vmId} in '${this.#directory}' can't be had: ${describe(error)}`,
        { cause: error },
      )
    }
    await using _held = lock
    return await work()
  }
}
