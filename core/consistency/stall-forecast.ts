import { DiskferryError } from '../errors.ts'
import type { HoldBeneath } from '../held-path.ts'
import type { Log } from '../log.ts'
import type { CloneTask } from '../snapshots/clone-disk.ts'
import type { SnapshotRecord, VmRecord } from '../snapshots/snapshot-record.ts'
import { toMicrosecond } from './clone-spans.ts'
import { type CloneSample, estimateClone } from './stall-estimate.ts'

export interface StallForecastOptions {
  /** Milliseconds; without it nothing is forecast. */
  readonly maxStallMs?: number
  readonly onLongStall: 'refuse' | 'warn'
  /** How long the extents are counted at most; 30 s when left out. */
  readonly countingMs?: number
}

export interface Forecast {
  /**
   * Milliseconds, of the slowest disk, since all are cloned at once; null when it is not known. Above the limit it is a
   * lower bound where a disk was not counted to the end.
   */
  readonly stallForecastMs: number | null
  /** With the number of extents of each disk, where it was counted to the end. */
  readonly tasks: readonly CloneTask[]
}

/** Counting takes some 4 us an extent, so these are reached together; a disk of more is slow for sure. */
const MAX_EXTENTS = 4_000_000
const MAX_COUNTING_MS = 30_000
const KEPT_SAMPLES = 16

interface DiskForecast {
  readonly task: CloneTask
  /** So many at least, where they were not counted to the end. */
  readonly extents: number
  readonly counted: boolean
  readonly ms: number
  /** Why they were not counted to the end. */
  readonly error?: unknown
}

/** Tells before any clone is made how long the guest would wait for it: a clone can't be given up half-way. */
export class StallForecast {
  readonly #options: StallForecastOptions
  readonly #log: Log
  readonly #hold: HoldBeneath
  readonly #samples = new Map<string, CloneSample[]>()

  constructor(options: StallForecastOptions, log: Log, hold: HoldBeneath) {
    this.#options = options
    this.#log = log
    this.#hold = hold
  }

  /** @throws STALL_TOO_LONG where that is to be refused; ABORTED */
  async assess(before: VmRecord, tasks: readonly CloneTask[], signal?: AbortSignal): Promise<Forecast> {
    const { maxStallMs } = this.#options
    if (maxStallMs === undefined) return { stallForecastMs: null, tasks }
    const deadline = AbortSignal.timeout(this.#options.countingMs ?? MAX_COUNTING_MS)
    const either = signal === undefined ? deadline : AbortSignal.any([deadline, signal])
    // At once, so that a slow disk leaves no other one uncounted.
    const disks = await Promise.all(tasks.map((task) => this.#disk(before, task, maxStallMs, either)))
    if (signal?.aborted) {
      const options = { cause: signal.reason }
      throw new DiskferryError('ABORTED', `VM ${before.vmId}: the client went away`, options)
    }
    const tooLong = disks.filter(({ ms }) => ms > maxStallMs)
    for (const disk of tooLong) this.#tooLong(before.vmId, disk, maxStallMs)
    const unknown = disks.filter((disk) => !disk.counted && !tooLong.includes(disk))
    for (const disk of unknown) this.#unknown(before.vmId, disk)
    const slowest = Math.max(0, ...disks.map(({ ms }) => ms))
    return {
      stallForecastMs: tooLong.length === 0 && unknown.length > 0 ? null : toMicrosecond(slowest),
      tasks: disks.map(({ task, extents, counted }) =>
        counted ? { ...task, record: { ...task.record, extents } } : task,
      ),
    }
  }

  /** Remembers what the clones of a new snapshot took. */
  learn(vmId: string, record: SnapshotRecord): void {
    const { maxStallMs } = this.#options
    if (maxStallMs === undefined) return
    for (const { backend, extents, cloneMs } of record.disks) {
      if (extents === undefined || cloneMs === undefined) continue
      const samples = this.#samples.get(backend) ?? []
      this.#samples.set(backend, [{ extents, ms: cloneMs }, ...samples].slice(0, KEPT_SAMPLES))
    }
    const { id, stallMs, stallForecastMs } = record
    if (typeof stallMs === 'number' && stallMs > maxStallMs) {
      this.#log.warn(
        {
          vm: vmId,
          snapshot: id,
          stall_ms: stallMs,
          stall_forecast_ms: stallForecastMs,
          max_stall_ms: maxStallMs,
        },
        'the clones of a snapshot took longer than quiesce.max_stall: the guest may have waited for them',
      )
    }
  }

  /** Never fails: what could not be counted any more is missing, and the rest is known all the same. */
  async #disk(
    before: VmRecord,
    task: CloneTask,
    maxStallMs: number,
    signal: AbortSignal,
  ): Promise<DiskForecast> {
    const { record, source } = task
    const own = before.snapshots.toReversed().flatMap(({ disks }): readonly CloneSample[] => {
      const disk = disks.find(({ name, backend }) => name === record.name && backend === record.backend)
      return disk?.extents === undefined || disk.cloneMs === undefined
        ? []
        : [{ extents: disk.extents, ms: disk.cloneMs }]
    })
    const estimate = (count: number) => estimateClone(count, own, this.#samples.get(record.backend) ?? [])
    let extents = 0
    const atLeast = (error?: unknown) => ({
      ...{ task, extents, counted: false, ms: extents === 0 ? 0 : estimate(extents) },
      ...(error !== undefined && { error }),
    })
    try {
      await using disk = await this.#hold(source.root, source.file)
      if (!disk.stats.isFile()) throw new Error(`'${source.file}' is no longer a regular file`)
      for await (const batch of source.backend.extentMap(disk.path, signal)) {
        extents += batch.length
        // Where it is refused anyway there is no need to know by how much.
        const decided = this.#options.onLongStall === 'refuse' && estimate(extents) > maxStallMs
        if (decided || extents >= MAX_EXTENTS) return atLeast()
      }
      return { task, extents, counted: true, ms: estimate(extents) }
    } catch (error) {
      // The limit; or the guest, which writes meanwhile, changed the map under the counting.
      return atLeast(error)
    }
  }

  #unknown(vmId: string, { task, extents, error }: DiskForecast): void {
    const { name } = task.record
    this.#log.warn(
      { vm: vmId, disk: name, extents, err: error },
      `disk ${name} of VM ${vmId} has at least ${extents} extents, which could not be counted to the end: its stall is not forecast, and the snapshot is taken`,
    )
  }

  #tooLong(vmId: string, { task, extents, counted, ms }: DiskForecast, maxStallMs: number): void {
    const { record } = task
    const many = `${counted ? '' : 'at least '}${extents} extents`
    const what = `cloning disk ${record.name} of VM ${vmId}, which has ${many}, would make its guest wait for some ${Math.ceil(ms)} ms, more than quiesce.max_stall (${maxStallMs} ms)`
    const advice = 'defragment or preallocate the disk, or raise quiesce.max_stall'
    if (this.#options.onLongStall === 'refuse')
      throw new DiskferryError('STALL_TOO_LONG', `no snapshot is taken: ${what}; ${advice}`)
    this.#log.warn({ vm: vmId, disk: record.name, extents, stall_forecast_ms: ms }, `${what}; ${advice}`)
  }
}
