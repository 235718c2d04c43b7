import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { backendFailure } from '../backends/backend-failure.ts'
import type { BackendRegistry } from '../backends/backend-registry.ts'
import { DiskferryError } from '../errors.ts'
import { compareRanges } from '../extents/compare-ranges.ts'
import { contentDiff } from '../extents/content-diff.ts'
import { type ListedRange, RangeList } from '../extents/range-list.ts'
import { squash } from '../extents/squash.ts'
import type { HeldPath, HoldBeneath } from '../held-path.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import type { Chunk, DiskMap, MapOptions, OpenDisk } from '../services.ts'
import type { ChangedRangeBatch, DiffResult, StorageBackend } from '../storage-backend.ts'
import { holdIntact } from './hold-intact.ts'
import type { DiskRecord, SnapshotDisk } from './snapshot-record.ts'

type Kind = 'data' | 'zero'

/** Reads as a file without a byte. */
const EMPTY_FILE = '/dev/null'

/** Paths of two snapshots' files, through descriptors. */
interface FilePair {
  readonly base: string
  readonly target: string
}

/** What the disks of a snapshot hold: read from their files at each call, never stored. */
export class DiskMaps {
  readonly #registry: BackendRegistry
  readonly #guard: MountGuard
  readonly #hold: HoldBeneath
  readonly #watches: MountWatches

  constructor(registry: BackendRegistry, guard: MountGuard, hold: HoldBeneath, watches: MountWatches) {
    this.#registry = registry
    this.#guard = guard
    this.#hold = hold
    this.#watches = watches
  }

  /**
   * The ranges that were ever written.
   * @throws MAP_FAILED, SNAPSHOT_DAMAGED, REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING
   */
  allocated(disk: SnapshotDisk, options: MapOptions, signal?: AbortSignal): Promise<DiskMap> {
    return this.#watches.run([disk.root], (either) => this.#allocated(disk, options, either), signal)
  }

  /**
   * As `allocated`, but a damaged disk is shown as one: with the reason, and with a chunk for all of it, since no chunks
   * would tell a client that does not know the reason that the disk is empty.
   *
   * @throws MAP_FAILED, REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING
   */
  async allocatedOrDamaged(disk: SnapshotDisk, options: MapOptions, signal?: AbortSignal): Promise<DiskMap> {
    try {
      return await this.allocated(disk, options, signal)
    } catch (error) {
      if (!(error instanceof DiskferryError) || error.code !== 'SNAPSHOT_DAMAGED') throw error
      const whole = { start: 0, length: disk.size, physicalStart: 0, zero: false }
      return { ...publicPart(disk), chunks: disk.size === 0 ? [] : [whole], damage: error.message }
    }
  }

  /** What differs from the same disk in an older snapshot. @throws DIFF_FAILED and as `allocated` */
  changed(
    base: SnapshotDisk,
    disk: SnapshotDisk,
    options: MapOptions,
    signal?: AbortSignal,
  ): Promise<DiskMap> {
    return this.#watches.run(
      [base.root, disk.root],
      (either) => this.#changed(base, disk, options, either),
      signal,
    )
  }

  /**
   * What differs, found by reading every byte of both files: nothing that a backend says is believed, not even where
   * there is data. Reads as much as the disk is large.
   *
   * @param base undefined for a disk that the older snapshot lacks, which then comes whole
   * @param reason for `fallback_reason`
   * @throws as `changed`
   */
  compared(
    base: SnapshotDisk | undefined,
    disk: SnapshotDisk,
    reason: string,
    options: MapOptions,
    signal?: AbortSignal,
  ): Promise<DiskMap> {
    return this.#watches.run(
      [...(base === undefined ? [] : [base.root]), disk.root],
      (either) => this.#compared(base, disk, reason, options, either),
      signal,
    )
  }

  /** Opens a disk for reading. @throws SNAPSHOT_DAMAGED, REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING, READ_FAILED */
  async open(disk: SnapshotDisk): Promise<OpenDisk> {
    const watch = await this.#watches.of(disk.root)
    const handle = await watch.run((signal) => this.#open(disk, signal))
    const name = createHash('sha256').update(disk.name).digest('hex').slice(0, 16)
    return {
      size: disk.size,
      etag: `${disk.snapshot.id}-${name}-${disk.size}`,
      createdAt: disk.snapshot.createdAt,
      async read(buffer, position) {
        const { bytesRead } = await watch.run(() => handle.read(buffer, 0, buffer.length, position))
        return bytesRead
      },
      [Symbol.asyncDispose]: () => watch.release(() => handle.close()),
    }
  }

  /**
   * Is a snapshot's file still the one that was recorded?
   * @throws SNAPSHOT_DAMAGED, REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING, READ_FAILED
   */
  assertIntact(disk: SnapshotDisk): Promise<void> {
    return this.#watches.run([disk.root], async () => {
      await using _held = await this.holdIntact(disk)
    })
  }

  /**
   * A snapshot's file, held for who reads it himself. To be called under the watch of its mount.
   * @throws SNAPSHOT_DAMAGED, REPOSITORY_NOT_MOUNTED, READ_FAILED
   */
  holdIntact(disk: SnapshotDisk): Promise<HeldPath> {
    return holdIntact(disk, this.#guard, this.#hold)
  }

  async #allocated(disk: SnapshotDisk, options: MapOptions, signal: AbortSignal): Promise<DiskMap> {
    await using file = await this.holdIntact(disk)
    const list = new RangeList<Kind>(['data', 'zero'])
    for await (const batch of this.#backendOf(disk).extentMap(file.path, signal)) {
      for (const extent of batch) {
        if (!extent.unwritten) list.push(extent.start, extent.length, 'data', extent.physicalStart ?? 0)
      }
    }
    return { ...publicPart(disk), chunks: toChunks(list, options) }
  }

  async #changed(
    base: SnapshotDisk,
    disk: SnapshotDisk,
    options: MapOptions,
    signal: AbortSignal,
  ): Promise<DiskMap> {
    await using baseFile = await this.holdIntact(base)
    await using file = await this.holdIntact(disk)
    const files = { base: baseFile.path, target: file.path }
    try {
      const result = await this.#diff(base, disk, files, signal)
      const list = await collect(options.refine === true ? refined(files, result, signal) : result.ranges)
      return {
        ...publicPart(disk),
        chunks: toChunks(list, options),
        diff: {
          method: result.method,
          fallbackReason: result.fallbackReason ?? null,
          changedBytes: list.bytesOf('data'),
          zeroBytes: list.bytesOf('zero'),
        },
      }
    } catch (error) {
      throw backendFailure(
        error,
        'DIFF_FAILED',
        `'${disk.path}' can't be compared with '${base.path}'`,
        signal,
      )
    }
  }

  async #compared(
    base: SnapshotDisk | undefined,
    disk: SnapshotDisk,
    reason: string,
    options: MapOptions,
    signal: AbortSignal,
  ): Promise<DiskMap> {
    await using baseFile = base === undefined ? undefined : await this.holdIntact(base)
    await using file = await this.holdIntact(disk)
    const everything = disk.size === 0 ? [] : [{ start: 0, length: disk.size }]
    try {
      const ranges = compareRanges(baseFile?.path ?? EMPTY_FILE, file.path, everything, signal)
      const list = await collect(ranges)
      const map = { ...publicPart(disk), chunks: toChunks(list, options) }
      if (base === undefined) return map
      const [changedBytes, zeroBytes] = [list.bytesOf('data'), list.bytesOf('zero')]
      return { ...map, diff: { method: 'content', fallbackReason: reason, changedBytes, zeroBytes } }
    } catch (error) {
      throw backendFailure(error, 'DIFF_FAILED', `the content of '${disk.path}' can't be compared`, signal)
    }
  }

  async #open(disk: SnapshotDisk, signal: AbortSignal): Promise<FileHandle> {
    await using file = await this.holdIntact(disk)
    let handle: FileHandle
    try {
      handle = await open(file.path, 'r')
    } catch (error) {
      throw backendFailure(error, 'READ_FAILED', `the snapshot's file '${disk.path}' can't be opened`)
    }
    if (signal.aborted) await handle.close()
    signal.throwIfAborted()
    return handle
  }

  async #diff(
    base: DiskRecord,
    disk: DiskRecord,
    files: FilePair,
    signal: AbortSignal | undefined,
  ): Promise<DiffResult> {
    const [baseBackend, backend] = [this.#backendOf(base), this.#backendOf(disk)]
    if (baseBackend === backend) return backend.diff(files.base, files.target, {}, signal)
    const extentMap = (file: string, mapSignal?: AbortSignal) =>
      (file === files.base ? baseBackend : backend).extentMap(file, mapSignal)
    return contentDiff(
      { ...files, extentMap },
      {},
      `the disk moved from a repository of ${base.backend} to one of ${disk.backend}`,
      signal,
    )
  }

  #backendOf(disk: DiskRecord): StorageBackend {
    const backend = this.#registry.get(disk.backend)
    if (backend !== undefined) return backend
    throw new DiskferryError(
      'BACKEND_INVALID',
      `the snapshot of disk ${disk.name} was made with the storage backend ${disk.backend}, which is not loaded: put it back into the configuration`,
    )
  }
}

/** Keeps of the changed ranges what a comparison of the contents finds to differ. */
function refined(
  { base, target }: FilePair,
  result: DiffResult,
  signal: AbortSignal | undefined,
): AsyncIterable<ChangedRangeBatch> {
  return compareRanges(base, target, flatten(result.ranges), signal)
}

async function collect(batches: AsyncIterable<ChangedRangeBatch>): Promise<RangeList<Kind>> {
  const list = new RangeList<Kind>(['data', 'zero'])
  for await (const batch of batches) {
    for (const { start, length, kind, physicalStart } of batch) {
      list.push(start, length, kind, kind === 'zero' ? 0 : (physicalStart ?? 0))
    }
  }
  return list
}

async function* flatten<Item>(batches: AsyncIterable<readonly Item[]>): AsyncGenerator<Item> {
  for await (const batch of batches) yield* batch
}

function publicPart(disk: DiskRecord): Omit<DiskMap, 'chunks'> {
  const { name, parentPath, path, repositoryMountPoint, size, backend } = disk
  return { name, parentPath, path, repositoryMountPoint, size, backend }
}

function toChunks(list: Iterable<ListedRange<Kind>>, options: MapOptions): Iterable<Chunk> {
  const chunks: Iterable<Chunk> = { [Symbol.iterator]: () => mapToChunks(list) }
  return options.squash ? squash(chunks) : chunks
}

function* mapToChunks(list: Iterable<ListedRange<Kind>>): Generator<Chunk> {
  for (const { start, length, physicalStart, kind } of list) {
    yield { start, length, physicalStart, zero: kind === 'zero' }
  }
}
