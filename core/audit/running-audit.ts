import { DiskferryError, describe } from '../errors.ts'
import { COMPARE_BLOCK } from '../extents/compare-ranges.ts'
import { faultPoint } from '../fault-points.ts'
import type { Log } from '../log.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import type { DiskMaps } from '../snapshots/disk-maps.ts'
import type { SnapshotStore } from '../snapshots/snapshot-store.ts'
import { type Audit, auditVerdict, type Mismatch, MOST_MISMATCHES } from './audit.ts'
import type { AuditMetrics } from './audit-metrics.ts'
import type { AuditStore } from './audit-store.ts'
import { type ComparedPair, type CompareObserver, compareTold } from './compare-told.ts'
import { unnoticedBlocks } from './confidence.ts'
import type { DistrustedPairs } from './distrusted-pairs.ts'
import { Throttle } from './throttle.ts'

/** How often a running audit looks whether its snapshots are still there, and saves how far it is. */
const HEARTBEAT_MS = 2000

export interface RunningAuditParts {
  readonly disks: DiskMaps
  readonly watches: MountWatches
  readonly snapshots: SnapshotStore
  readonly store: AuditStore
  readonly distrusted: DistrustedPairs
  readonly metrics: AuditMetrics
  readonly log: Log
}

/** One audit from its begin to its verdict. The VM's audit lock is held while it runs. */
export class RunningAudit implements CompareObserver {
  readonly #parts: RunningAuditParts
  readonly #pair: ComparedPair
  readonly #throttle: Throttle
  readonly #abort = new AbortController()
  #audit: Audit
  #stratum = 1
  #lastHeartbeat = performance.now()

  constructor(parts: RunningAuditParts, pair: ComparedPair, audit: Audit) {
    this.#parts = parts
    this.#pair = pair
    this.#audit = audit
    this.#throttle = new Throttle(audit.rate)
  }

  /** As it is now. */
  get audit(): Audit {
    return this.#audit
  }

  abort(reason: string): void {
    this.#abort.abort(new DiskferryError('ABORTED', reason))
  }

  /** Never throws: what goes wrong is the audit's end. */
  async run(): Promise<void> {
    const { disks, watches, store, log, metrics } = this.#parts
    const { sample, seed, rate, vmId, snapshotId, compareTo } = this.#audit
    const fields = { vm: vmId, snapshot: snapshotId, compare_to: compareTo }
    log.info({ ...fields, rate, sample, seed }, 'an audit begins')
    try {
      const options = { rate, sample: sample === null ? undefined : { blocks: sample, seed: seed! } }
      await compareTold({ disks, watches }, this.#pair, options, this, this.#abort.signal)
      this.#end(this.#audit.mismatchBytes > 0 ? { state: 'mismatch' } : this.#passed())
    } catch (error) {
      this.#end(await this.#failure(error))
    }
    metrics.finished(this.#audit.state)
    const verdict = auditVerdict(this.#audit)
    const { state } = this.#audit
    log[state === 'mismatch' || state === 'failed' ? 'error' : 'info'](
      { ...fields, state },
      `audit: ${verdict}`,
    )
    try {
      await store.keep(this.#audit)
    } catch (error) {
      log.error({ ...fields, err: error }, 'the result of an audit could not be kept, it is tried again')
    }
  }

  planned(plan: { readonly blocks: number; readonly blocksToRead: number; readonly stratum: number }): void {
    this.#stratum = plan.stratum
    this.#audit = { ...this.#audit, blocks: plan.blocks, blocksToRead: plan.blocksToRead }
  }

  async beforeReading(bytes: number, blocks: number): Promise<void> {
    await this.#throttle.take(bytes, this.#abort.signal)
    if (performance.now() - this.#lastHeartbeat >= HEARTBEAT_MS) {
      await this.#assertSnapshotsThere()
      // How far it is is no reason to end it; its end is kept, or told.
      await this.#parts.store.keep(this.#audit).catch(() => undefined)
      this.#lastHeartbeat = performance.now()
    }
    this.#parts.metrics.read(bytes)
    this.#audit = { ...this.#audit, blocksRead: this.#audit.blocksRead + blocks }
  }

  /** The mark is written before it is logged or more is read: a crash must not forget it. */
  async mismatch(found: Mismatch): Promise<void> {
    const { mismatchBytes, mismatches } = this.#audit
    const first = mismatchBytes === 0
    // At once: the audit may be ended while the mark is written.
    this.#audit = {
      ...this.#audit,
      mismatchBytes: mismatchBytes + found.length,
      mismatches: [...mismatches, found].slice(0, MOST_MISMATCHES),
    }
    this.#parts.metrics.mismatch(found.length)
    try {
      if (first) {
        await this.#parts.distrusted.distrust(this.#pair, reasonFor(found))
        faultPoint('audit.marked')
      }
    } finally {
      // Where it could not be written too: this process goes by it all the same.
      if (mismatches.length < MOST_MISMATCHES) this.#logMismatch(found, first)
    }
  }

  #logMismatch(found: Mismatch, first: boolean): void {
    const { vmId, snapshotId, compareTo } = this.#audit
    const advice = `. From now on this pair is compared by content. Pull it again: what was pulled with it before lacks these bytes. The cause may be a fault of the backend ${found.backend}, of the filesystem, or somebody who wrote to a snapshot's file; until it is known, believe no difference of this repository: audit the others, or take full exports`
    this.#parts.log.error(
      { vm: vmId, snapshot: snapshotId, compare_to: compareTo, ...found },
      `the difference between two snapshots of VM ${vmId} is wrong: disk ${found.disk}, '${found.path}', ${found.length} bytes at ${found.start} were told ${found.told} and are not${first ? advice : ''}`,
    )
  }

  #passed(): Partial<Audit> {
    const { blocks, blocksToRead } = this.#audit
    const unnoticedBytes = unnoticedBlocks(this.#stratum, blocksToRead!, blocks!) * COMPARE_BLOCK
    return { state: 'passed', unnoticedBytes }
  }

  #end(end: Partial<Audit>): void {
    this.#audit = { ...this.#audit, ...end, finishedAt: new Date().toISOString() }
  }

  /** A wrong difference stays wrong, however the audit that found it ended. */
  async #failure(error: unknown): Promise<Partial<Audit>> {
    const reason = describe(error)
    if (this.#audit.mismatchBytes > 0) return { state: 'mismatch', reason }
    if (this.#abort.signal.aborted) return { state: 'aborted', reason: describe(this.#abort.signal.reason) }
    const gone = await this.#deletedSnapshot().catch(() => undefined)
    if (gone === undefined) return { state: 'failed', reason }
    return { state: 'snapshot-deleted', reason: `snapshot ${gone} was deleted meanwhile` }
  }

  async #assertSnapshotsThere(): Promise<void> {
    const gone = await this.#deletedSnapshot()
    if (gone !== undefined) throw new DiskferryError('SNAPSHOT_NOT_FOUND', `snapshot ${gone} was deleted`)
  }

  async #deletedSnapshot(): Promise<string | undefined> {
    const { snapshots } = await this.#parts.snapshots.read(this.#audit.vmId)
    const ready = new Set(snapshots.filter(({ state }) => state === 'ready').map(({ id }) => id))
    return [this.#pair.base.id, this.#pair.snapshot.id].find((id) => !ready.has(id))
  }
}

function reasonFor({ backend, disk, start }: Mismatch): string {
  return `an audit found that the difference by the backend ${backend} was wrong (disk ${disk} at ${start}), so every byte of both snapshots was read`
}
