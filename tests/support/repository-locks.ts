import { MountGuard } from '../../core/repositories/mount-guard.ts'
import { RepositoryLocks } from '../../core/snapshots/repository-locks.ts'
import { acquireFlock, holdBeneath, readMounts } from '../../native/index.ts'

/** The real locks on real mounts. What they would log fails the test. */
export function makeRepositoryLocks(patienceMs: number): RepositoryLocks {
  const log = { info: () => undefined, warn: unexpected, error: unexpected }
  const guard = new MountGuard({ list: readMounts }, true)
  return new RepositoryLocks({ locks: { acquire: acquireFlock }, guard, hold: holdBeneath, log }, patienceMs)
}

function unexpected(fields: object, message: string): void {
  throw new Error(`${message}: ${JSON.stringify(fields)}`)
}
