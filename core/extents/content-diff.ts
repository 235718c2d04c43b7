import { stat } from 'node:fs/promises'
import type { ChangedRangeBatch, DiffOptions, DiffResult, ExtentBatch } from '../storage-backend.ts'
import { compareRanges } from './compare-ranges.ts'
import { ExtentReader } from './extent-reader.ts'
import { joinNear } from './join-near.ts'

export interface ContentDiffFiles {
  readonly base: string
  readonly target: string
  /** Tells where a file holds data; only what it leaves out is believed to be zeros. */
  readonly extentMap: (file: string, signal?: AbortSignal) => AsyncIterable<ExtentBatch>
}

/**
 * The difference of two files by reading both wherever either holds data. Right on any filesystem, whatever its
 * map says of addresses.
 *
 * @param fallbackReason why physical addresses were not used, where they normally are
 * @throws errors of reading the maps or the files
 */
export async function contentDiff(
  files: ContentDiffFiles,
  options: DiffOptions,
  fallbackReason?: string,
  signal?: AbortSignal,
): Promise<DiffResult> {
  const [{ size: baseSize }, { size: targetSize }] = await Promise.all([stat(files.base), stat(files.target)])
  const ranges = compareAllocated(files, Math.min(baseSize, targetSize), targetSize, options, signal)
  return fallbackReason === undefined
    ? { method: 'content', ranges }
    : { method: 'content', fallbackReason, ranges }
}

async function* compareAllocated(
  files: ContentDiffFiles,
  commonSize: number,
  targetSize: number,
  options: DiffOptions,
  signal: AbortSignal | undefined,
): AsyncGenerator<ChangedRangeBatch> {
  const base = new ExtentReader(files.extentMap(files.base, signal))
  const target = new ExtentReader(files.extentMap(files.target, signal))
  try {
    const allocated = joinNear(allocatedInEither(base, target, commonSize, targetSize))
    for await (const batch of compareRanges(files.base, files.target, allocated, signal)) {
      yield batch
      options.onProgress?.(batch.at(-1)!.start)
    }
  } finally {
    await base.close()
    await target.close()
  }
}

/** Up to `commonSize` where either file holds data, beyond it where the target does. */
async function* allocatedInEither(
  base: ExtentReader,
  target: ExtentReader,
  commonSize: number,
  targetSize: number,
): AsyncGenerator<{ start: number; length: number }> {
  for (let position = 0; position < targetSize; ) {
    const common = position < commonSize
    // At once: on a network filesystem each batch of a map costs thousands of round trips.
    const [inTarget, inBase] = await Promise.all([
      target.at(position),
      common ? base.at(position) : undefined,
    ])
    const limit = common ? commonSize : targetSize
    const end = Math.min(inTarget.end, inBase?.end ?? Number.POSITIVE_INFINITY, limit)
    if (holdsData(inTarget.extent) || holdsData(inBase?.extent))
      yield { start: position, length: end - position }
    position = end
  }
}

function holdsData(extent: { readonly unwritten: boolean } | undefined): boolean {
  return extent !== undefined && !extent.unwritten
}
