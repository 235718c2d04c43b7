import { type Audit, auditVerdict } from '../core/audit/audit.ts'

/** An audit as the REST API and the command line show it. */
export function auditJson(audit: Audit) {
  return {
    vm_id: audit.vmId,
    snapshot_id: audit.snapshotId,
    compare_to: audit.compareTo,
    state: audit.state,
    verdict: auditVerdict(audit),
    reason: audit.reason,
    started_at: audit.startedAt,
    finished_at: audit.finishedAt,
    rate: audit.rate,
    sample: audit.sample,
    seed: audit.seed,
    blocks: audit.blocks,
    blocks_to_read: audit.blocksToRead,
    blocks_read: audit.blocksRead,
    unnoticed_bytes: audit.unnoticedBytes,
    mismatch_bytes: audit.mismatchBytes,
    mismatches: audit.mismatches,
    pid: audit.pid,
  }
}
