/** `snapshot-deleted`: one of the two snapshots was deleted meanwhile, so there is nothing left to prove. */
export type AuditState = 'running' | 'passed' | 'mismatch' | 'aborted' | 'snapshot-deleted' | 'failed'

/** A range that the difference should have reported, or should have reported as data. */
export interface Mismatch {
  readonly disk: string
  /** The snapshot's file. */
  readonly path: string
  /** Bytes. */
  readonly start: number
  readonly length: number
  /** What the difference said of the range: nothing, or that it reads as zeros. */
  readonly told: 'unchanged' | 'zero'
  readonly backend: string
}

/** One comparison of a difference with the contents, under way or ended. Blocks have at most 4 KiB. */
export interface Audit {
  readonly vmId: string
  readonly snapshotId: string
  /** The older snapshot. */
  readonly compareTo: string
  readonly state: AuditState
  /** Why it ended without a verdict; null otherwise. */
  readonly reason: string | null
  /** ISO 8601, UTC, milliseconds. */
  readonly startedAt: string
  readonly finishedAt: string | null
  /** Bytes a second at most, read from both files together. */
  readonly rate: number
  /** How many blocks were asked for; null for all. */
  readonly sample: number | null
  /** The same seed picks the same blocks; null without a sample. */
  readonly seed: number | null
  /** Blocks of which the difference says that they are unchanged or zero; null until it is known. */
  readonly blocks: number | null
  /** Of these, how many are read; null until it is known. */
  readonly blocksToRead: number | null
  readonly blocksRead: number
  /** When it passed: with `CONFIDENCE` at most so many bytes differ unnoticed. Else null. */
  readonly unnoticedBytes: number | null
  readonly mismatchBytes: number
  /** The first ones, at most `MOST_MISMATCHES`. */
  readonly mismatches: readonly Mismatch[]
  /** The process that runs or ran it. */
  readonly pid: number
}

export interface AuditOptions {
  readonly compareTo: string
  /** How many blocks to read at least; all when left out. */
  readonly sample?: number
  /** 0 to 2^32 - 1; by chance when left out. */
  readonly seed?: number
  /** Bytes a second; what the configuration allows when left out, and never more. */
  readonly rate?: number
}

/** Compares by content what differences did not report. */
export interface Audits {
  /**
   * Begins in the background.
   * @throws SNAPSHOT_NOT_FOUND, COMPARE_NOT_OLDER, AUDIT_RUNNING, AUDIT_LIMIT, STORE_FAILED
   */
  start(vmId: string, snapshotId: string, options: AuditOptions): Promise<Audit>
  /** The last audit of the snapshot. @throws AUDIT_NOT_FOUND, STORE_FAILED */
  get(vmId: string, snapshotId: string): Promise<Audit>
  /** Ends it, and returns when it has ended. One that had ended is left as it is. @throws AUDIT_NOT_FOUND, AUDIT_RUNNING */
  abort(vmId: string, snapshotId: string): Promise<Audit>
}

/** How many mismatches are kept and logged one by one; all of them are counted. */
export const MOST_MISMATCHES = 16

/** How an audit is recorded whose program was killed. */
export function abandoned(audit: Audit): Audit {
  return {
    ...audit,
    state: audit.mismatchBytes > 0 ? 'mismatch' : 'aborted',
    reason: `the program that ran it (process ${audit.pid}) ended unexpectedly`,
    finishedAt: new Date().toISOString(),
  }
}

/** What an audit found out, in one sentence. */
export function auditVerdict(audit: Audit): string {
  const read = `${audit.blocksRead} of ${audit.blocks ?? 'unknown'} blocks of 4 KiB read`
  switch (audit.state) {
    case 'running':
      return audit.blocksToRead === null
        ? 'the difference is being computed'
        : `${audit.blocksRead} of ${audit.blocksToRead} blocks of 4 KiB to read are read`
    case 'passed':
      return audit.unnoticedBytes === 0
        ? `${read} without a mismatch: the difference is right`
        : `${read} without a mismatch: with 95 % confidence at most ${audit.unnoticedBytes} bytes differ unnoticed`
    case 'mismatch':
      return `${read}: ${audit.mismatchBytes} bytes differ that the difference did not report`
    default:
      return `${audit.reason ?? audit.state}; ${read}`
  }
}
