import { createHash } from 'node:crypto'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { backendFailure } from '../backends/backend-failure.ts'
import type { BackendRegistry } from '../backends/backend-registry.ts'
import { DiskferryError, systemCode } from '../errors.ts'
import { compareRanges } from '../extents/compare-ranges.ts'
import { contentDiff } from '../extents/content-diff.ts'
import { type ListedRange, RangeList } from '../extents/range-list.ts'
import { squash } from '../extents/squash.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import type { Chunk, DiskMap, MapOptions, OpenDisk } from '../services.ts'
import type { ChangedRangeBatch, DiffResult, StorageBackend } from '../storage-backend.ts'
import type { DiskRecord, SnapshotRecord } from './snapshot-record.ts'

type Kind = 'data' | 'zero'

/** What the disks of a snapshot hold: read from their files at each call, never stored. */
export class DiskMaps {
  readonly #registry: BackendRegistry
  readonly #guard: MountGuard
  readonly #watches: MountWatches

  constructor(registry: BackendRegistry, guard: MountGuard, watches: MountWatches) {
    this.#registry = registry
    this.#guard = guard
    this.#watches = watches
  }

  /**
   * The ranges that were ever written.
   * @throws MAP_FAILED, SNAPSHOT_DAMAGED, REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING
   */
  allocated(disk: DiskRecord, options: MapOptions, signal?: AbortSignal): Promise<DiskMap> {
    return this.#watches.run([disk.root], (either) => this.#allocated(disk, options, either), signal)
  }

  /** What differs from the same disk in an older snapshot. @throws DIFF_FAILED and as `allocated` */
  changed(base: DiskRecord, disk: DiskRecord, options: MapOptions, signal?: AbortSignal): Promise<DiskMap> {
    return this.#watches.run(
      [base.root, disk.root],
      (either) => this.#changed(base, disk, options, either),
      signal,
    )
  }

  /** Opens a disk for reading. @throws SNAPSHOT_DAMAGED, REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING, READ_FAILED */
  async open(snapshot: SnapshotRecord, disk: DiskRecord): Promise<OpenDisk> {
    const watch = await this.#watches.of(disk.root)
    const handle = await watch.run((signal) => this.#open(disk, signal))
    const name = createHash('sha256').update(disk.name).digest('hex').slice(0, 16)
    return {
      size: disk.size,
      etag: `${snapshot.id}-${name}-${disk.size}`,
      createdAt: snapshot.createdAt,
      async read(buffer, position) {
        const { bytesRead } = await watch.run(() => handle.read(buffer, 0, buffer.length, position))
        return bytesRead
      },
      [Symbol.asyncDispose]: () => watch.release(() => handle.close()),
    }
  }

  async #allocated(disk: DiskRecord, options: MapOptions, signal: AbortSignal): Promise<DiskMap> {
    await this.#assertIntact(disk)
    const list = new RangeList<Kind>(['data', 'zero'])
    for await (const batch of this.#backendOf(disk).extentMap(disk.path, signal)) {
      for (const extent of batch) {
        if (!extent.unwritten) list.push(extent.start, extent.length, 'data', extent.physicalStart ?? 0)
      }
    }
    return { ...publicPart(disk), chunks: toChunks(list, options) }
  }

  async #changed(
    base: DiskRecord,
    disk: DiskRecord,
    options: MapOptions,
    signal: AbortSignal,
  ): Promise<DiskMap> {
    await Promise.all([this.#assertIntact(base), this.#assertIntact(disk)])
    try {
      const result = await this.#diff(base, disk, signal)
      const list = await collect(
        options.refine === true ? refined(base, disk, result, signal) : result.ranges,
      )
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

  async #open(disk: DiskRecord, signal: AbortSignal): Promise<FileHandle> {
    await this.#assertIntact(disk)
    let handle: FileHandle
    try {
      handle = await open(disk.path, 'r')
    } catch (error) {
      throw backendFailure(error, 'READ_FAILED', `the snapshot's file '${disk.path}' can't be opened`)
    }
    if (signal.aborted) await handle.close()
    signal.throwIfAborted()
    return handle
  }

  /**
   * Is the file still the one that was recorded?
   *
   * @throws SNAPSHOT_DAMAGED, REPOSITORY_NOT_MOUNTED, READ_FAILED
   */
  async #assertIntact(disk: DiskRecord): Promise<void> {
    await this.#guard.assertMounted(disk.root)
    const damaged = (what: string, cause?: unknown): DiskferryError =>
      new DiskferryError(
        'SNAPSHOT_DAMAGED',
        `the snapshot's file of disk ${disk.name} ${what}; delete the snapshot and make a full one`,
        { cause: cause ?? new Error(disk.path) },
      )
    try {
      const status = await stat(disk.path)
      if (!status.isFile()) throw damaged('is not a regular file')
      if (status.size !== disk.size)
        throw damaged(`has ${status.size} bytes where ${disk.size} were recorded`)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') throw damaged('is missing', error)
      throw backendFailure(error, 'READ_FAILED', `the snapshot's file '${disk.path}' can't be looked at`)
    }
  }

  async #diff(base: DiskRecord, disk: DiskRecord, signal: AbortSignal | undefined): Promise<DiffResult> {
    const [baseBackend, backend] = [this.#backendOf(base), this.#backendOf(disk)]
    if (baseBackend === backend) return backend.diff(base.path, disk.path, {}, signal)
    const extentMap = (file: string, mapSignal?: AbortSignal) =>
      (file === base.path ? baseBackend : backend).extentMap(file, mapSignal)
    return contentDiff(
      { base: base.path, target: disk.path, extentMap },
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
  base: DiskRecord,
  disk: DiskRecord,
  result: DiffResult,
  signal: AbortSignal | undefined,
): AsyncIterable<ChangedRangeBatch> {
  return compareRanges(base.path, disk.path, flatten(result.ranges), signal)
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
