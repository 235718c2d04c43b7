import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DiskferryError, describe } from '../errors.ts'
import type { FileLocks } from '../file-lock.ts'

/** Long enough for a few tries: a lock is also taken for an instant to see whether an audit still runs. */
const PATIENCE_MS = 500

/** One lock a VM for its audits, held across processes that use the same database; not that for changing snapshots. */
export class AuditLocks {
  readonly #locks: FileLocks
  readonly #directory: string

  /** @param directory for the lock files; made when absent */
  constructor(locks: FileLocks, directory: string) {
    this.#locks = locks
    this.#directory = directory
  }

  /** Undefined when another process holds it. @throws STORE_FAILED */
  async tryAcquire(vmId: string): Promise<AsyncDisposable | undefined> {
    const patience = AbortSignal.timeout(PATIENCE_MS)
    const name = createHash('sha256').update(vmId).digest('hex').slice(0, 32)
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      return await this.#locks.acquire(join(this.#directory, `${name}.audit.lock`), patience)
    } catch (error) {
      if (patience.aborted) return undefined
      throw new DiskferryError(
        'STORE_FAILED',
        `the lock for audits of VM ${vmId} in '${this.#directory}' can't be had: ${describe(error)}`,
        { cause: error },
      )
    }
  }
}
