import type { SnapshotRecord } from './snapshot-record.ts'
import type { SnapshotStore } from './snapshot-store.ts'

/**
 * Puts a snapshot whose files are there into the index, at its place in time; does nothing when the VM has it already.
 * To be called with the VM's locks held, by who has looked at the files since: a snapshot may go while it is waited for
 * them, and its record would bring it back as a damaged one.
 *
 * @throws STORE_FAILED
 */
export async function addToIndex(store: SnapshotStore, vmId: string, record: SnapshotRecord): Promise<void> {
  const before = await store.read(vmId)
  if (before.snapshots.some(({ id }) => id === record.id)) return
  await store.write({ ...before, snapshots: [...before.snapshots, record].sort(byTime) })
}

function byTime(left: SnapshotRecord, right: SnapshotRecord): number {
  const apart = Date.parse(left.createdAt) - Date.parse(right.createdAt)
  return apart !== 0 ? apart : left.id < right.id ? -1 : 1
}
