/**
 * The contract between Diskferry and a storage backend: the plugin for one filesystem.
 *
 * All offsets and lengths are bytes, integers from 0 to 2^53 - 1. All paths are absolute.
 */

/** Checked when a backend is registered. New members of the contract are optional until it grows. */
export const BACKEND_API_VERSION = 1

/** What a filesystem may lack although snapshots work on it. */
export type FilesystemFeature =
  | 'punch-hole'
  | 'zero-range'
  | 'preallocate'
  | 'keep-size'
  | 'deduplicate'
  | 'clone-range'
  | 'defragment'

/** What the code of a backend supports, whatever the mount says. */
export interface BackendManifest {
  /** Lower-case letters, digits and dashes, at most 32: `xfs`. Shown to clients as the disk's `backend`. */
  readonly name: string
  readonly apiVersion: number
  /** One line for a person who reads `GET /api/v1/backends`. */
  readonly description: string
  /** Filesystem types as mountinfo names them: `xfs`, `btrfs`, `nfs4`, `cifs`. */
  readonly filesystems: readonly string[]
  /** How a difference is normally found: by physical addresses, or by reading both files. */
  readonly difference: 'physical' | 'content'
  /**
   * What a mount of these filesystems may be unable to do, each with the reason. The conformance suite skips a check only
   * for a feature that is named here and that the mount really refuses.
   */
  readonly unsupported?: Readonly<Partial<Record<FilesystemFeature, string>>>
}

/** One line of /proc/self/mountinfo; see proc_pid_mountinfo(5). */
export interface Mount {
  readonly mountId: number
  readonly parentId: number
  /** `major:minor` of the filesystem. */
  readonly device: string
  /** The folder of the filesystem that is mounted here: `/` but for bind mounts and subvolumes. */
  readonly root: string
  readonly mountPoint: string
  readonly filesystem: string
  /** What was mounted: `/dev/sdb1`, `server:/export`. */
  readonly source: string
  readonly readOnly: boolean
  /** Options of the mount and of the filesystem, as in mountinfo: `rw`, `vers=4.2`. */
  readonly options: readonly string[]
}

export interface CompatibilityReport {
  readonly compatible: boolean
  /** Why not, each a sentence that a person can act on. Empty when compatible. */
  readonly reasons: readonly string[]
}

/** What a compatibility check looks at. */
export interface CompatibilityTarget {
  readonly mount: Mount
  /** An existing, writable folder on that mount where trial files may be made; they must be removed again. */
  readonly trialDirectory: string
}

/** A contiguous allocated range of a file. */
export interface Extent {
  /** First byte in the file. */
  readonly start: number
  /** Bytes, more than 0. */
  readonly length: number
  /**
   * Where the data lies, in bytes, in an address space that is one for the whole filesystem; null when the
   * filesystem gives no address, or one that does not stand for the data (compressed, inline, delayed, ...).
   * Two files of one filesystem with the same address for the same range must hold the same bytes there.
   */
  readonly physicalStart: number | null
  /** Allocated but never written: it reads as zeros. */
  readonly unwritten: boolean
  /** Why `physicalStart` is null, one word for `fallback_reason`: `encoded`, `inline`, `delayed`. */
  readonly opaque?: string
}

export type ExtentBatch = readonly Extent[]

/** A range that differs between two snapshots: `data` is to be fetched, `zero` now reads as zeros. */
export interface ChangedRange {
  readonly start: number
  readonly length: number
  readonly kind: 'data' | 'zero'
  /** Where the data lies in the target, when known. */
  readonly physicalStart?: number
}

export type ChangedRangeBatch = readonly ChangedRange[]

export type DiffMethod = 'physical' | 'content'

export interface DiffOptions {
  /** Called now and then with how many bytes of the target have been settled, ascending. */
  readonly onProgress?: (settledBytes: number) => void
}

export interface DiffResult {
  readonly method: DiffMethod
  /** Why content was read, wholly or in part, where physical addresses would have been the normal way. */
  readonly fallbackReason?: string
  /**
   * Every range of the target whose bytes may differ from the base. Ascending, not overlapping, inside the
   * target's size. A range beyond the base's end is reported where the target holds data there.
   */
  readonly ranges: AsyncIterable<ChangedRangeBatch>
}

/**
 * Four operations. A backend holds no state between calls, closes what it opens, and may throw any error:
 * the core wraps it, names the backend and keeps the cause.
 */
export interface StorageBackend {
  readonly manifest: BackendManifest

  /** Looks at the mount itself, with a real trial clone. Throws only when the check could not be made. */
  checkCompatibility(target: CompatibilityTarget, signal?: AbortSignal): Promise<CompatibilityReport>

  /**
   * Makes `target` a copy-on-write clone of `source`, as it is at one instant. The target is whole or absent:
   * it must not exist before (EEXIST), nothing half-made is ever seen under its name, and there is no
   * fallback to copying bytes.
   *
   * Either path, and those of the other operations, may lead through a descriptor: `/proc/<pid>/fd/<n>`, with or without
   * a name behind it. Open it as it is; resolving it first would let a link win that is put there meanwhile.
   */
  clone(source: string, target: string, signal?: AbortSignal): Promise<void>

  /** The allocated extents now: ascending, not overlapping, clipped to the file's size, in batches. */
  extentMap(file: string, signal?: AbortSignal): AsyncIterable<ExtentBatch>

  /**
   * Every range of `target` whose bytes may differ from `base`. Neither file is being written. It may report
   * too much; it must never report too little.
   */
  diff(base: string, target: string, options: DiffOptions, signal?: AbortSignal): Promise<DiffResult>
}

/** What a plugin module exports as `default`. Options come from `[backends.options]` of the configuration. */
export type BackendFactory = (options: Readonly<Record<string, unknown>>) => StorageBackend
