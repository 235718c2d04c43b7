import type { SnapshotRecord } from './snapshot-record.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import type { VmLocks } from './vm-locks.ts'

/**
 * Puts a snapshot whose files are there into the index, at its place in time; does nothing when the VM has it already.
 *
 * @returns whether it was put there
 * @throws VM_BUSY, STORE_FAILED
 */
export async function addToIndex(
  store: SnapshotStore,
  locks: VmLocks,
  vmId: string,
  record: SnapshotRecord,
): Promise<boolean> {
  return locks.hold(vmId, () => addWithLock(store, vmId, record))
}

/** As `addToIndex`, for who holds the VM's lock. @throws STORE_FAILED */
export async function addWithLock(
  store: SnapshotStore,
  vmId: string,
  record: SnapshotRecord,
): Promise<boolean> {
  const before = await store.read(vmId)
  if (before.snapshots.some(({ id }) => id === record.id)) return false
  await store.write({ ...before, snapshots: [...before.snapshots, record].sort(byTime) })
  return true
}

function byTime(left: SnapshotRecord, right: SnapshotRecord): number {
  const apart = Date.parse(left.createdAt) - Date.parse(right.createdAt)
  return apart !== 0 ? apart : left.id < right.id ? -1 : 1
}
