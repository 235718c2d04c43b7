import type { MetricRegistry } from '../metrics/metrics.ts'
import type { AuditState } from './audit.ts'

const ENDS: readonly AuditState[] = ['passed', 'mismatch', 'aborted', 'snapshot-deleted', 'failed']

/** What audits tell a monitoring system. */
export class AuditMetrics {
  readonly read: (bytes: number) => void
  readonly finished: (state: AuditState) => void
  readonly mismatch: (bytes: number) => void

  constructor(registry: MetricRegistry, running: () => number, distrustedPairs: () => Promise<number>) {
    registry.gauge('diskferry_audits_running', 'Audits under way in this process.', running)
    const finished = registry.counter(
      'diskferry_audits_finished_total',
      'Audits that ended in this process, by how.',
      ENDS.map((state) => ({ state })),
    )
    const readBytes = registry.counter('diskferry_audit_read_bytes_total', 'Bytes that audits read.')
    const mismatches = registry.counter(
      'diskferry_audit_mismatches_total',
      'Ranges that a difference should have reported and did not: any is an alarm.',
    )
    const mismatchBytes = registry.counter('diskferry_audit_mismatch_bytes_total', 'Bytes of these ranges.')
    registry.gauge(
      'diskferry_distrusted_pairs',
      'Pairs of snapshots, in the database, whose difference was found wrong: any is an alarm.',
      distrustedPairs,
    )
    this.read = (bytes) => readBytes.add(bytes)
    this.finished = (state) => finished.add(1, { state })
    this.mismatch = (bytes) => {
      mismatches.add(1)
      mismatchBytes.add(bytes)
    }
  }
}
