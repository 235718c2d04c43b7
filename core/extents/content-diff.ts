import { stat } from 'node:fs/promises'
import type { ChangedRangeBatch, DiffOptions, DiffResult, ExtentBatch } from '../storage-backend.ts'
import { compareRanges } from './compare-ranges.ts'
import { type ByteRange, joinNear } from './join-near.ts'
import { type Pair, sideBySide } from './side-by-side.ts'

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
  const ranges = compareAllocated(files, baseSize, targetSize, options, signal)
  return fallbackReason === undefined
    ? { method: 'content', ranges }
    : { method: 'content', fallbackReason, ranges }
}

async function* compareAllocated(
  files: ContentDiffFiles,
  baseSize: number,
  targetSize: number,
  options: DiffOptions,
  signal: AbortSignal | undefined,
): AsyncGenerator<ChangedRangeBatch> {
  const pairs = sideBySide({
    base: files.extentMap(files.base, signal),
    target: files.extentMap(files.target, signal),
    baseSize,
    targetSize,
  })
  for await (const batch of compareRanges(files.base, files.target, joinNear(allocated(pairs)), signal)) {
    yield batch
    options.onProgress?.(batch.at(-1)!.start)
  }
}

/** Where either file holds data. */
async function* allocated(pairs: AsyncIterable<readonly Pair[]>): AsyncGenerator<readonly ByteRange[]> {
  for await (const batch of pairs) {
    const ranges: ByteRange[] = []
    for (const { start, end, base, target } of batch) {
      if (holdsData(target) || holdsData(base)) ranges.push({ start, length: end - start })
    }
    yield ranges
  }
}

function holdsData(extent: { readonly unwritten: boolean } | undefined): boolean {
  return extent !== undefined && !extent.unwritten
}
