import { randomInt } from 'node:crypto'
import { DiskferryError } from '../errors.ts'
import type { MetricRegistry } from '../metrics/metrics.ts'
import { LaterTries } from '../snapshots/later-tries.ts'
import { findPair } from '../snapshots/snapshot-service.ts'
import { type Audit, type AuditOptions, type Audits, abandoned } from './audit.ts'
import type { AuditLocks } from './audit-locks.ts'
import { AuditMetrics } from './audit-metrics.ts'
import type { ComparedPair } from './compare-told.ts'
import { RunningAudit, type RunningAuditParts } from './running-audit.ts'

export interface AuditServiceParts extends Omit<RunningAuditParts, 'metrics'> {
  readonly locks: AuditLocks
  readonly registry: MetricRegistry
}

export interface AuditLimits {
  /** Bytes a second that one audit may read. */
  readonly rate: number
  /** Audits that this process runs at a time. */
  readonly concurrent: number
}

/** `running` is missing while the audit is being prepared. */
interface Slot {
  running?: RunningAudit
  readonly ended: Promise<void>
}

/** Runs audits in the background: one at a time for each VM, across processes, and not too many in all. */
export class AuditService implements Audits {
  readonly #parts: AuditServiceParts & RunningAuditParts
  readonly #limits: AuditLimits
  readonly #slots = new Map<string, Slot>()
  /** VMs of which something was found out that could not be written. */
  readonly #later = new LaterTries((vmId) => this.#writeAgain(vmId))
  #stopping = false

  constructor(parts: AuditServiceParts, limits: AuditLimits) {
    const metrics = new AuditMetrics(
      parts.registry,
      () => this.#slots.size,
      () => parts.store.countDistrusted((vmId) => this.#readyIds(vmId)),
    )
    this.#parts = { ...parts, metrics }
    this.#limits = limits
  }

  async start(vmId: string, snapshotId: string, options: AuditOptions): Promise<Audit> {
    const snapshots = await this.#ready(vmId)
    const pair = findPair(snapshots, vmId, snapshotId, options.compareTo)
    this.#assertRoom(vmId)
    let end: () => void
    const slot: Slot = { ended: new Promise<void>((resolve) => (end = resolve)) }
    this.#slots.set(vmId, slot)
    const free = () => {
      this.#slots.delete(vmId)
      end()
    }
    try {
      const lock = await this.#parts.locks.tryAcquire(vmId)
      if (lock === undefined) throw auditRunning(vmId, 'in another process')
      const running = await this.#prepare(vmId, pair, options, lock)
      slot.running = running
      if (this.#stopping) running.abort(STOPPED)
      void running.run().finally(async () => {
        await lock[Symbol.asyncDispose]()
        free()
        if (this.#parts.store.hasUnwritten(vmId)) this.#later.add(vmId)
      })
      return running.audit
    } catch (error) {
      free()
      throw error
    }
  }

  async get(vmId: string, snapshotId: string): Promise<Audit> {
    return this.#live(vmId, snapshotId)?.audit ?? (await this.#kept(vmId, snapshotId))
  }

  async abort(vmId: string, snapshotId: string): Promise<Audit> {
    this.#live(vmId, snapshotId)?.abort('it was aborted on request')
    await this.ended(vmId, snapshotId)
    const audit = await this.#kept(vmId, snapshotId)
    if (audit.state === 'running') throw auditRunning(vmId, `in process ${audit.pid}, where it must be ended`)
    return audit
  }

  /** Waits for the end of an audit that this process runs. */
  async ended(vmId: string, snapshotId: string): Promise<void> {
    if (this.#live(vmId, snapshotId) !== undefined) await this.#slots.get(vmId)?.ended
  }

  /** Ends every audit, and returns when each has ended and is recorded. */
  async stop(): Promise<void> {
    this.#stopping = true
    const slots = [...this.#slots.values()]
    for (const { running } of slots) running?.abort(STOPPED)
    await Promise.all(slots.map(({ ended }) => ended))
    await this.#later.stop()
    await Promise.all(this.unwritten.map((vmId) => this.#writeAgain(vmId)))
  }

  /** VMs of which something was found out that is lost when this process ends. */
  get unwritten(): readonly string[] {
    return this.#parts.store.unwritten
  }

  #assertRoom(vmId: string): void {
    if (this.#stopping) throw new DiskferryError('ABORTED', `VM ${vmId}: no audit begins, ${STOPPED}`)
    if (this.#slots.has(vmId)) throw auditRunning(vmId, 'already')
    const { concurrent } = this.#limits
    if (this.#slots.size < concurrent) return
    throw new DiskferryError(
      'AUDIT_LIMIT',
      `${concurrent} audits are running, as many as audit.concurrent allows; try again when one has ended`,
    )
  }

  async #prepare(
    vmId: string,
    pair: ComparedPair,
    options: AuditOptions,
    lock: AsyncDisposable,
  ): Promise<RunningAudit> {
    try {
      const { store } = this.#parts
      await store.settle(vmId, await this.#readyIds(vmId))
      const running = new RunningAudit(this.#parts, pair, this.#newAudit(vmId, pair, options))
      await store.keep(running.audit)
      return running
    } catch (error) {
      await lock[Symbol.asyncDispose]()
      throw error
    }
  }

  #newAudit(vmId: string, { base, snapshot }: ComparedPair, options: AuditOptions): Audit {
    const { sample, seed = randomInt(2 ** 32), rate = Number.POSITIVE_INFINITY } = options
    return {
      vmId,
      snapshotId: snapshot.id,
      compareTo: base.id,
      state: 'running',
      reason: null,
      startedAt: new Date().toISOString(),
      finishedAt: null,
      rate: Math.min(rate, this.#limits.rate),
      sample: sample ?? null,
      seed: sample === undefined ? null : seed,
      blocks: null,
      blocksToRead: null,
      blocksRead: 0,
      unnoticedBytes: null,
      mismatchBytes: 0,
      mismatches: [],
      pid: process.pid,
    }
  }

  #live(vmId: string, snapshotId: string): RunningAudit | undefined {
    const running = this.#slots.get(vmId)?.running
    return running?.audit.snapshotId === snapshotId ? running : undefined
  }

  /** @returns whether it is written */
  async #writeAgain(vmId: string): Promise<boolean> {
    // A running audit writes it with its own.
    if (this.#slots.has(vmId)) return false
    try {
      const lock = await this.#parts.locks.tryAcquire(vmId)
      if (lock === undefined) return false
      await using _held = lock
      await this.#parts.store.writeAgain(vmId)
      return true
    } catch {
      // It was logged when it failed for the first time.
      return false
    }
  }

  /** The record; one that says `running` although nobody holds the lock was left by a program that was killed. */
  async #kept(vmId: string, snapshotId: string): Promise<Audit> {
    const audit = await this.#find(vmId, snapshotId)
    if (audit.state !== 'running' || this.#slots.has(vmId)) return audit
    const lock = await this.#parts.locks.tryAcquire(vmId)
    if (lock === undefined) return audit
    await using _held = lock
    const now = await this.#find(vmId, snapshotId)
    if (now.state !== 'running') return now
    const left = abandoned(now)
    try {
      await this.#parts.store.keep(left)
    } catch (error) {
      this.#later.add(vmId)
      this.#parts.log.warn(
        { vm: vmId, err: error },
        'the end of an audit could not be kept, it is tried again',
      )
    }
    return left
  }

  async #find(vmId: string, snapshotId: string): Promise<Audit> {
    const { audits } = await this.#parts.store.read(vmId)
    const audit = audits.find((known) => known.snapshotId === snapshotId)
    if (audit !== undefined) return audit
    throw new DiskferryError(
      'AUDIT_NOT_FOUND',
      `VM ${vmId} has no audit of a snapshot ${JSON.stringify(snapshotId)}`,
    )
  }

  async #readyIds(vmId: string): Promise<ReadonlySet<string>> {
    return new Set((await this.#ready(vmId)).map(({ id }) => id))
  }

  async #ready(vmId: string) {
    return (await this.#parts.snapshots.read(vmId)).snapshots.filter(({ state }) => state === 'ready')
  }
}

const STOPPED = 'the program is being stopped'

function auditRunning(vmId: string, where: string): DiskferryError {
  return new DiskferryError(
    'AUDIT_RUNNING',
    `an audit of VM ${vmId} is running ${where}; one at a time: wait for its end, or abort it`,
  )
}
