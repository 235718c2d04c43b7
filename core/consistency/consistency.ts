/** How the disks of a snapshot belong together in time; docs/api.md says precisely what each field means. */
export interface SnapshotConsistency {
  /** `crash`: as after a power cut. `quiesced`: both hooks did their work, `before` before the first clone began. */
  readonly consistency: 'crash' | 'quiesced'
  /** Why not quiesced although hooks are configured. */
  readonly consistencyReason: string | null
  /** Milliseconds from the call of the first clone to the return of the last; null where it was not measured. */
  readonly stallMs: number | null
  /** The moments of no two disks lie further apart, milliseconds; null where it was not measured. */
  readonly skewMs: number | null
  /** What the stall was expected to be; null where nobody asked. */
  readonly stallForecastMs: number | null
}

/** Of a record, which may be older than these fields. */
export function consistencyOf(record: Partial<SnapshotConsistency>): SnapshotConsistency {
  const { consistency, consistencyReason } = record
  return {
    consistency: consistency === 'quiesced' ? 'quiesced' : 'crash',
    consistencyReason: typeof consistencyReason === 'string' ? consistencyReason : null,
    stallMs: measured(record.stallMs),
    skewMs: measured(record.skewMs),
    stallForecastMs: measured(record.stallForecastMs),
  }
}

function measured(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null
}
