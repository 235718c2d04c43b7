import type { AuditTrail } from '../audit-trail.ts'
import type { Clock, ClockReading } from '../leases/lease-clock.ts'
import type { LeaseService } from '../leases/lease-service.ts'
import type { Log } from '../log.ts'
import type { DiskMaps } from '../snapshots/disk-maps.ts'
import type { SnapshotJournal } from '../snapshots/snapshot-journal.ts'
import { disksOf, type SnapshotRecord } from '../snapshots/snapshot-record.ts'
import type { SnapshotStore } from '../snapshots/snapshot-store.ts'
import type { VmLocks } from '../snapshots/vm-locks.ts'
import { expiredSnapshots, type RetentionPolicy } from './retention-policy.ts'

/** A VM whose lock is held for long comes round again. */
const LOCK_PATIENCE_MS = 10_000

export interface RetentionServiceParts {
  readonly store: SnapshotStore
  readonly locks: VmLocks
  readonly journal: SnapshotJournal
  readonly leases: LeaseService
  readonly disks: Pick<DiskMaps, 'assertIntact'>
  readonly clock: Clock
  readonly log: Log
  readonly trail: AuditTrail
}

export interface RetentionOptions extends RetentionPolicy {
  /** Between two rounds over all VMs. */
  readonly intervalMs: number
}

/** Deletes what the policy gives up: of a VM after each of its snapshots, and of all VMs now and then. */
export class RetentionService {
  readonly #parts: RetentionServiceParts
  readonly #options: RetentionOptions
  readonly #began: ClockReading
  readonly #stopping = new AbortController()
  /** VMs whose turn is to come; one at a time, so that deletions do not crowd out requests. */
  readonly #due = new Set<string>()
  #work: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(parts: RetentionServiceParts, options: RetentionOptions) {
    this.#parts = parts
    this.#options = options
    this.#began = parts.clock()
  }

  /** Begins the rounds, the first one now; does nothing without a policy. */
  start(): void {
    if (!this.#active) return
    const round = () => void this.#round()
    this.#timer = setInterval(round, this.#options.intervalMs)
    this.#timer.unref()
    round()
  }

  /** Looks at a VM in the background. Never fails. */
  soon(vmId: string): void {
    if (!this.#active || this.#stopping.signal.aborted) return
    this.#due.add(vmId)
    this.#work ??= this.#workOff()
  }

  /** Resolves when nothing is due any more. */
  async idle(): Promise<void> {
    while (this.#work !== undefined) await this.#work
  }

  /** Ends after the deletion that is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    clearInterval(this.#timer)
    this.#due.clear()
    await this.idle()
  }

  get #active(): boolean {
    return this.#options.keepLast !== undefined || this.#options.maxAgeMs !== undefined
  }

  async #round(): Promise<void> {
    try {
      for (const vmId of await this.#parts.store.vmIds()) this.soon(vmId)
    } catch (error) {
      this.#parts.log.warn({ err: error }, 'retention could not list the VMs, it is tried again later')
    }
  }

  async #workOff(): Promise<void> {
    // Not in the turn of who asked.
    await Promise.resolve()
    for (const vmId of this.#due) {
      this.#due.delete(vmId)
      await this.#apply(vmId)
    }
    this.#work = undefined
  }

  async #apply(vmId: string): Promise<void> {
    const settled = new Set<string>()
    while (!this.#stopping.signal.aborted) {
      try {
        // The lock is given up between two deletions: a snapshot that is due must not wait for all of them.
        if (
          !(await this.#parts.locks.hold(
            vmId,
            () => this.#deleteOne(vmId, settled),
            this.#stopping.signal,
            LOCK_PATIENCE_MS,
          ))
        )
          return
      } catch (error) {
        if (this.#stopping.signal.aborted) return
        this.#parts.log.warn(
          { vm: vmId, err: error },
          'retention could not delete a snapshot, it is tried again at the next round',
        )
        return
      }
    }
  }

  /** @param settled ids that were looked at already @returns false when there is nothing more to do */
  async #deleteOne(vmId: string, settled: Set<string>): Promise<boolean> {
    const { journal, leases, log, trail } = this.#parts
    const record = await journal.settled(vmId)
    const ready = record.snapshots.filter(({ state }) => state === 'ready')
    const expired = expiredSnapshots(ready, this.#options, this.#now())
    for (const { id, reason } of expired) {
      if (settled.has(id)) continue
      settled.add(id)
      const snapshot = ready.find((known) => known.id === id)!
      const lease = await leases.live(snapshot)
      const fields = { vm: vmId, snapshot: id, created_at: snapshot.createdAt, reason }
      if (lease !== undefined) {
        log.info(
          { ...fields, holder: lease.holder, expires_at: lease.expiresAt },
          'retention keeps a leased snapshot',
        )
        continue
      }
      const staying = ready.filter((known) => !expired.some(({ id }) => id === known.id))
      if (!(await this.#isOneWhole(vmId, staying))) return false
      await trail.of('snapshot.retention', { user: null, client: null, ...fields }, () =>
        // Again: another host may have given a lease meanwhile.
        journal.delete(record, [snapshot], () => leases.assertDeletable(vmId, [snapshot], {})),
      )
      return true
    }
    return false
  }

  /**
   * What is damaged, or in a repository that can't be read now, must not stand in for what is deleted.
   * @param snapshots oldest first
   */
  async #isOneWhole(vmId: string, snapshots: readonly SnapshotRecord[]): Promise<boolean> {
    let problem: { readonly snapshot: string; readonly err: unknown } | undefined
    for (const snapshot of snapshots.toReversed()) {
      try {
        for (const disk of disksOf(vmId, snapshot)) await this.#parts.disks.assertIntact(disk)
        return true
      } catch (err) {
        problem ??= { snapshot: snapshot.id, err }
      }
    }
    this.#parts.log.warn(
      { vm: vmId, ...problem },
      'retention deletes no snapshot of this VM, because none of those that are to stay is known to be whole; the error is that of the newest: mend what it names, or make a full snapshot',
    )
    return false
  }

  /** A clock that was set forward must not make everything old: no more time has passed than on the one that can't be set. */
  #now(): number {
    const { wallMs, bootMs } = this.#parts.clock()
    return Math.min(wallMs, this.#began.wallMs + (bootMs - this.#began.bootMs))
  }
}
