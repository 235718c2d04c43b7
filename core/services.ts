/** What the API and the commands ask of the core. Sizes, starts and lengths are bytes. */

import type { SnapshotConsistency } from './consistency/consistency.ts'
import type { InventoryProblem } from './inventory.ts'
import type { DeleteOptions, Lease } from './leases/lease.ts'
import type { BackendManifest, DiffMethod } from './storage-backend.ts'

export interface DiskView {
  /** Unique within the VM: the file's name, or that with the device in front where two disks share it. */
  readonly name: string
  readonly path: string
  readonly deviceName: string
  readonly mode: string
  readonly compatible: boolean
  /** Why it can't be cloned, or why it need not be (a read-only CD-ROM). */
  readonly incompatibleReason?: string
  /** null when there is no such file. */
  readonly size: number | null
  /** The backend of the disk's repository; null when it lies in none that has one. */
  readonly backend: string | null
}

export interface VmView {
  readonly name: string
  readonly uuid: string
  readonly friendlyName: string
  readonly disks: readonly DiskView[]
  readonly compatible: boolean
  /** Oldest first. */
  readonly snapshotIds: readonly string[]
}

export interface VirtualMachines {
  list(signal?: AbortSignal): Promise<readonly VmView[]>
  /** @throws VM_NOT_FOUND */
  get(vmId: string, signal?: AbortSignal): Promise<VmView>
}

export interface RepositoryView {
  readonly id: string
  readonly alias: string
  readonly mountPoint: string
  /** null when nothing is mounted there. */
  readonly filesystem: string | null
  readonly source: string | null
  readonly backend: string | null
  readonly compatible: boolean
  /** Why not compatible. */
  readonly reasons: readonly string[]
  /** What could not be read in it, a VM's configuration for example. */
  readonly problems: readonly string[]
}

export interface Repositories {
  list(signal?: AbortSignal): Promise<readonly RepositoryView[]>
  backends(): readonly BackendManifest[]
  /** Problems that belong to no repository. */
  problems(signal?: AbortSignal): Promise<readonly InventoryProblem[]>
}

/** A range as the REST API names it. */
export interface Chunk {
  readonly start: number
  readonly length: number
  /** 0 where unknown or where `zero`. */
  readonly physicalStart: number
  /** The range differs from the base by reading as zeros now. */
  readonly zero: boolean
}

export interface DiskSnapshot {
  readonly name: string
  /** The disk that was cloned. */
  readonly parentPath: string
  /** The clone. */
  readonly path: string
  readonly repositoryMountPoint: string
  readonly size: number
  readonly backend: string
}

export interface DiskDiff {
  readonly method: DiffMethod
  readonly fallbackReason: string | null
  readonly changedBytes: number
  readonly zeroBytes: number
}

export interface DiskMap extends DiskSnapshot {
  /** Ascending, not overlapping, inside the size. Can be iterated any number of times. */
  readonly chunks: Iterable<Chunk>
  /** Only with compareTo, and only when the older snapshot has this disk. */
  readonly diff?: DiskDiff
  /** Only in a list: why the disk can't be served. Its one chunk is then the whole disk, never nothing. */
  readonly damage?: string
}

export interface SnapshotMap extends SnapshotConsistency {
  readonly id: string
  readonly vmId: string
  /** ISO 8601, UTC, milliseconds. */
  readonly createdAt: string
  /** The one that holds it now. */
  readonly lease: Lease | null
  readonly disks: readonly DiskMap[]
  /** Only in a list: why the snapshot can't be served. */
  readonly damage?: string
}

export interface MapOptions {
  /** Join logically adjacent chunks of the same kind. */
  readonly squash: boolean
  /** Id of an older snapshot of the same VM. */
  readonly compareTo?: string
  /** Compare the contents of the changed ranges and keep what really differs. */
  readonly refine?: boolean
}

/** A disk of a snapshot, open for reading. */
export interface OpenDisk extends AsyncDisposable {
  readonly size: number
  /** Opaque, without quotes; equal only for equal bytes. */
  readonly etag: string
  readonly createdAt: string
  /**
   * Fills the buffer with the bytes from `position` on.
   * @returns how many; fewer than the buffer takes, and 0 at the end of the file
   * @throws REPOSITORY_NOT_RESPONDING, or the system's error. The buffer is not to be used again after that
   */
  read(buffer: Buffer, position: number): Promise<number>
}

export interface Snapshots {
  /** @throws VM_NOT_FOUND when neither the inventory nor the store knows the VM */
  list(vmId: string, options: MapOptions, signal?: AbortSignal): Promise<readonly SnapshotMap[]>
  /** @throws VM_NOT_FOUND, VM_NOT_COMPATIBLE, VM_BUSY, STALL_TOO_LONG, QUIESCE_FAILED, REPOSITORY_NOT_RESPONDING, REPOSITORY_FULL, REPOSITORY_READ_ONLY, CLONE_FAILED */
  create(vmId: string, options: MapOptions, signal?: AbortSignal): Promise<SnapshotMap>
  /** @throws SNAPSHOT_NOT_FOUND, COMPARE_NOT_OLDER, SNAPSHOT_DAMAGED, DIFF_FAILED, MAP_FAILED */
  get(vmId: string, snapshotId: string, options: MapOptions, signal?: AbortSignal): Promise<SnapshotMap>
  /** Does nothing when the snapshot, or its files, are already gone. @throws SNAPSHOT_LEASED */
  delete(vmId: string, snapshotId: string, options?: DeleteOptions, signal?: AbortSignal): Promise<void>
  /** Deletes every snapshot of a VM, or, when one of them is leased, none. @throws VM_NOT_FOUND, SNAPSHOT_LEASED */
  purge(vmId: string, options?: DeleteOptions, signal?: AbortSignal): Promise<void>
  /** @throws SNAPSHOT_NOT_FOUND, DISK_NOT_FOUND, SNAPSHOT_DAMAGED, READ_FAILED */
  openDisk(vmId: string, snapshotId: string, diskName: string): Promise<OpenDisk>
}

/** Is this program able to do its work? Throws the reason when not. */
export interface Readiness {
  check(): Promise<void>
}

/** Checks a user name and a password. */
export interface Authenticator {
  /**
   * @throws LOGIN_REFUSED for wrong credentials, MANAGER_UNREACHABLE or MANAGER_CERTIFICATE_CHANGED when
   * nobody could be asked
   */
  authenticate(username: string, password: string, signal?: AbortSignal): Promise<void>
}
