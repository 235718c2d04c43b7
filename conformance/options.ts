import { type BackendFactory, DiskferryError, type StorageBackend } from 'diskferry/core'
import type { Step } from './history/steps.ts'

export interface ConformanceOptions {
  /** The plugin's default export, or a backend that it made. Only with a factory can two instances be compared. */
  readonly backend: BackendFactory | StorageBackend
  /** What the factory is given. */
  readonly backendOptions?: Readonly<Record<string, unknown>>
  /**
   * An existing, writable folder on the filesystem under test, or what tells it when the first check starts. Every check
   * works in a new folder of its own in it, and removes that.
   */
  readonly directory: string | (() => string | Promise<string>)
  /** Only checks whose name matches. */
  readonly only?: RegExp
  /** Each seed is one random history; 1 to 5 when left out. */
  readonly seeds?: readonly number[]
  /** A history to play again, as a failure printed it; instead of the seeds. */
  readonly replay?: readonly Step[]
  /** Extents of the fragmented disk; 100,000 when left out. An emulated machine may want fewer. */
  readonly extents?: number
  /** Bytes of the disk whose clone must not take up space; 64 MiB when left out. Larger stands out better on a busy mount. */
  readonly fullDiskBytes?: number
  /** A writable folder on a filesystem that makes no reflinks; looked for in the usual places when left out. */
  readonly elsewhere?: string
  /** Defragments a file, for a filesystem whose tool the suite does not know. */
  readonly defragment?: (file: string) => Promise<void>
  /** Seconds that one check may take; 300 when left out. */
  readonly timeLimit?: number
}

export interface Settings {
  readonly seeds: readonly number[]
  readonly replay: readonly Step[] | undefined
  readonly extents: number
  readonly fullDiskBytes: number
  readonly elsewhere: string | undefined
  readonly defragment: ((file: string) => Promise<void>) | undefined
  /** Milliseconds. */
  readonly timeLimitMs: number
}

const DEFAULT_SEEDS = [1, 2, 3, 4, 5]
const DEFAULT_EXTENTS = 100_000
const DEFAULT_FULL_DISK_BYTES = 64 * 1024 * 1024
const DEFAULT_TIME_LIMIT = 300
const MOST_EXTENTS = 10_000_000
const MOST_FULL_DISK_BYTES = 2 ** 40
const MOST_SECONDS = 24 * 60 * 60

/** @throws USAGE for a number outside its range */
export function settingsFrom(options: ConformanceOptions): Settings {
  const { seeds = DEFAULT_SEEDS, replay, elsewhere, defragment } = options
  for (const seed of seeds) bounded('a seed', seed, 0, 2 ** 32 - 1)
  return {
    seeds,
    replay,
    elsewhere,
    defragment,
    extents: bounded('extents', options.extents ?? DEFAULT_EXTENTS, 2, MOST_EXTENTS),
    fullDiskBytes: bounded(
      'fullDiskBytes',
      options.fullDiskBytes ?? DEFAULT_FULL_DISK_BYTES,
      1024 * 1024,
      MOST_FULL_DISK_BYTES,
    ),
    timeLimitMs: bounded('timeLimit', options.timeLimit ?? DEFAULT_TIME_LIMIT, 1, MOST_SECONDS) * 1000,
  }
}

function bounded(name: string, value: number, low: number, high: number): number {
  if (Number.isInteger(value) && value >= low && value <= high) return value
  throw new DiskferryError('USAGE', `${name} must be an integer from ${low} to ${high}, not ${value}`)
}
