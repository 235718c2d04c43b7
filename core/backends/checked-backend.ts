import { lstat, stat } from 'node:fs/promises'
import { DiskferryError } from '../errors.ts'
import { shownPath } from '../held-path.ts'
import type {
  BackendManifest,
  ChangedRangeBatch,
  CompatibilityReport,
  CompatibilityTarget,
  DiffOptions,
  DiffResult,
  ExtentBatch,
  StorageBackend,
} from '../storage-backend.ts'
import { backendFailure } from './backend-failure.ts'

/**
 * The checked half of every backend: the plugin does the work, this looks at what comes back. A wrong answer
 * becomes an error that names the backend, never wrong data in a backup.
 */
export class CheckedBackend implements StorageBackend {
  readonly #backend: StorageBackend

  constructor(backend: StorageBackend) {
    this.#backend = backend
  }

  get manifest(): BackendManifest {
    return this.#backend.manifest
  }

  async checkCompatibility(target: CompatibilityTarget, signal?: AbortSignal): Promise<CompatibilityReport> {
    const report = await this.#backend.checkCompatibility(target, signal)
    if (report.compatible === report.reasons.length > 0) {
      this.#violated(
        `checkCompatibility() said compatible: ${report.compatible} with ${report.reasons.length} reasons`,
      )
    }
    return report
  }

  async clone(source: string, target: string, signal?: AbortSignal): Promise<void> {
    const what = `backend ${this.manifest.name} could not clone '${shownPath(source)}' to '${shownPath(target)}'`
    try {
      await this.#backend.clone(source, target, signal)
    } catch (error) {
      throw backendFailure(error, 'CLONE_FAILED', what, signal)
    }
    const [made, from] = await Promise.all([lstat(target).catch(() => undefined), stat(source)])
    if (made === undefined || !made.isFile()) this.#violated(`clone() left no file at '${shownPath(target)}'`)
    else if (made.ino === from.ino && made.dev === from.dev) {
      this.#violated(`clone() gave '${shownPath(source)}' a second name instead of cloning it`)
    }
  }

  async *extentMap(file: string, signal?: AbortSignal): AsyncGenerator<ExtentBatch> {
    const what = `backend ${this.manifest.name} could not map '${shownPath(file)}'`
    try {
      const { size } = await stat(file)
      const check = this.#rangeCheck('extentMap()', file, size)
      for await (const batch of this.#backend.extentMap(file, signal)) {
        signal?.throwIfAborted()
        for (const extent of batch) {
          check(extent)
          if (extent.physicalStart !== null && !isOffset(extent.physicalStart)) {
            this.#violated(`extentMap() gave the physical start ${extent.physicalStart} for '${file}'`)
          }
        }
        yield batch
      }
    } catch (error) {
      throw backendFailure(error, 'MAP_FAILED', what, signal)
    }
  }

  async diff(base: string, target: string, options: DiffOptions, signal?: AbortSignal): Promise<DiffResult> {
    const what = `backend ${this.manifest.name} could not compare '${shownPath(target)}' with '${shownPath(base)}'`
    try {
      const { size } = await stat(target)
      const result = await this.#backend.diff(base, target, options, signal)
      if (result.method !== 'physical' && result.method !== 'content') {
        this.#violated(`diff() said it used the method ${JSON.stringify(result.method)}`)
      }
      return { ...result, ranges: this.#checkedRanges(result.ranges, target, size, what, signal) }
    } catch (error) {
      throw backendFailure(error, 'DIFF_FAILED', what, signal)
    }
  }

  async *#checkedRanges(
    ranges: AsyncIterable<ChangedRangeBatch>,
    file: string,
    size: number,
    what: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ChangedRangeBatch> {
    const check = this.#rangeCheck('diff()', file, size)
    try {
      for await (const batch of ranges) {
        signal?.throwIfAborted()
        for (const range of batch) {
          check(range)
          if (range.kind !== 'data' && range.kind !== 'zero') {
            this.#violated(`diff() gave a range of kind ${JSON.stringify(range.kind)} for '${file}'`)
          }
          if (range.physicalStart !== undefined && !isOffset(range.physicalStart)) {
            this.#violated(`diff() gave the physical start ${range.physicalStart} for '${file}'`)
          }
        }
        yield batch
      }
    } catch (error) {
      throw backendFailure(error, 'DIFF_FAILED', what, signal)
    }
  }

  /** Ascending, not overlapping, not empty, inside the file. */
  #rangeCheck(
    operation: string,
    file: string,
    size: number,
  ): (range: { start: number; length: number }) => void {
    const shown = shownPath(file)
    let end = 0
    return ({ start, length }) => {
      if (!isOffset(start) || !isOffset(length) || length === 0) {
        this.#violated(`${operation} gave the range ${start}+${length} for '${shown}'`)
      }
      if (start < end) {
        this.#violated(`${operation} gave a range at ${start} for '${shown}' after one that ends at ${end}`)
      }
      end = start + length
      if (end > size) {
        this.#violated(
          `${operation} gave a range that ends at ${end} for '${shown}', which has ${size} bytes`,
        )
      }
    }
  }

  #violated(what: string): never {
    throw new DiskferryError(
      'BACKEND_CONTRACT_VIOLATED',
      `backend ${this.manifest.name} broke the contract: ${what}; nothing of its answer was used. Report this to the author of the backend`,
    )
  }
}

function isOffset(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
