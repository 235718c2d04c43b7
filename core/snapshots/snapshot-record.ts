import type { SnapshotConsistency } from '../consistency/consistency.ts'
import { DiskferryError } from '../errors.ts'
import { isLeaseRecord, type LeaseRecord } from '../leases/lease-record.ts'
import type { DiskSnapshot } from '../services.ts'
import { isBirthTime } from './recorded-file.ts'

/** `creating` and `deleting` are steps of the journal: such a snapshot is shown to nobody. */
export type SnapshotState = 'creating' | 'ready' | 'deleting'

export interface SnapshotRecord extends Partial<SnapshotConsistency> {
  readonly id: string
  readonly state: SnapshotState
  /** ISO 8601, UTC, milliseconds; later than that of every earlier snapshot of the VM. */
  readonly createdAt: string
  readonly vmUuid: string
  readonly vmFriendlyName: string
  readonly disks: readonly DiskRecord[]
  /** May have ended. */
  readonly lease?: LeaseRecord
}

export interface DiskRecord extends DiskSnapshot {
  readonly repositoryId: string
  /** The repository's folder without links; the clone lies below it. */
  readonly root: string
  /** That of the repository, to know it from another that is mounted in its place. Absent in records of before there were any. */
  readonly repositoryStamp?: string
  /** Of the disk before it was cloned, where they were counted. */
  readonly extents?: number
  /** Milliseconds that the clone took. */
  readonly cloneMs?: number
  /** Of the clone: a file with another one was put in its place. Absent where such numbers do not last. */
  readonly inode?: number
  /**
   * When the clone came into being, nanoseconds since 1970, in decimal: an inode number is given again, this time is
   * not. Absent where the filesystem has none, or where it is a server's.
   */
  readonly birthTimeNs?: string
}

/** A disk with the snapshot that it is of. */
export interface SnapshotDisk extends DiskRecord {
  readonly vmId: string
  readonly snapshot: SnapshotRecord
}

export function disksOf(vmId: string, snapshot: SnapshotRecord): readonly SnapshotDisk[] {
  return snapshot.disks.map((disk) => ({ ...disk, vmId, snapshot }))
}

/** Everything that is known of one VM's snapshots, oldest first: one value in the store, one atomic write. */
export interface VmRecord {
  readonly version: 1
  readonly vmId: string
  readonly snapshots: readonly SnapshotRecord[]
}

export function emptyVmRecord(vmId: string): VmRecord {
  return { version: 1, vmId, snapshots: [] }
}

/** Checks a value from the store. @throws STORE_FAILED */
export function checkVmRecord(value: unknown, vmId: string): VmRecord {
  const record = value as VmRecord
  const sound =
    isObject(record) &&
    record.version === 1 &&
    record.vmId === vmId &&
    Array.isArray(record.snapshots) &&
    record.snapshots.every(isSnapshotRecord)
  if (sound) return record
  throw new DiskferryError(
    'STORE_FAILED',
    `the database holds something for VM ${JSON.stringify(vmId)} that this version can't read; the files of its snapshots are untouched: see docs/operations.md`,
  )
}

function isSnapshotRecord(value: unknown): value is SnapshotRecord {
  const snapshot = value as SnapshotRecord
  return (
    isObject(snapshot) &&
    isText(snapshot.id) &&
    (snapshot.state === 'creating' || snapshot.state === 'ready' || snapshot.state === 'deleting') &&
    isText(snapshot.createdAt) &&
    !Number.isNaN(Date.parse(snapshot.createdAt)) &&
    Array.isArray(snapshot.disks) &&
    snapshot.disks.every(isDiskRecord) &&
    (snapshot.lease === undefined || isLeaseRecord(snapshot.lease))
  )
}

function isDiskRecord(value: unknown): value is DiskRecord {
  const disk = value as DiskRecord
  return (
    isObject(disk) &&
    [disk.name, disk.path, disk.parentPath, disk.root, disk.repositoryMountPoint, disk.backend].every(
      isText,
    ) &&
    Number.isSafeInteger(disk.size) &&
    disk.size >= 0 &&
    (disk.repositoryStamp === undefined || isText(disk.repositoryStamp)) &&
    (disk.inode === undefined || Number.isSafeInteger(disk.inode)) &&
    (disk.birthTimeNs === undefined || isBirthTime(disk.birthTimeNs))
  )
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}
