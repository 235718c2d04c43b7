import { stat } from 'node:fs/promises'
import type {
  ChangedRange,
  ChangedRangeBatch,
  DiffOptions,
  DiffResult,
  ExtentBatch,
} from '../storage-backend.ts'
import { compareRanges } from './compare-ranges.ts'
import { contentDiff } from './content-diff.ts'
import { MapDigest } from './map-digest.ts'
import { type MergedRange, mergeMaps } from './merge-maps.ts'
import { RangeList } from './range-list.ts'

export interface DiffFiles {
  readonly base: string
  readonly target: string
  /** Normally the backend's own `extentMap`. */
  readonly extentMap: (file: string, signal?: AbortSignal) => AsyncIterable<ExtentBatch>
}

/** Blocks that keep moving (a defragmentation under way) must not keep a client waiting for ever. */
const ATTEMPTS = 3
const RANGES_PER_BATCH = 1024

interface Merged {
  readonly ranges: RangeList<MergedRange['kind']>
  readonly reasons: ReadonlySet<string>
}

interface Span {
  readonly start: number
  length: number
}

/**
 * The difference of two clones of one filesystem by where their blocks lie now. Only ranges for which an
 * address says nothing are read and compared.
 *
 * Both maps are read twice. A block may move while they are read, and its old place be given to other data; an
 * address seen in both files proves equal bytes only if both files held it at one same moment, which lies
 * between the two readings when they agree. When they keep disagreeing, everything is compared by content.
 *
 * @throws errors of reading the maps or the files
 */
export async function physicalDiff(
  files: DiffFiles,
  options: DiffOptions,
  signal?: AbortSignal,
): Promise<DiffResult> {
  const [baseStatus, targetStatus] = await Promise.all([stat(files.base), stat(files.target)])
  if (baseStatus.dev !== targetStatus.dev) {
    return contentDiff(files, options, 'base and target are on different filesystems', signal)
  }
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const merged = await mergeVerified(files, baseStatus.size, targetStatus.size, options, signal)
    if (merged !== undefined) return toResult(files, merged, signal)
  }
  return contentDiff(files, options, `blocks kept moving during ${ATTEMPTS} readings of the maps`, signal)
}

/** Undefined when a block moved meanwhile. */
async function mergeVerified(
  files: DiffFiles,
  baseSize: number,
  targetSize: number,
  options: DiffOptions,
  signal: AbortSignal | undefined,
): Promise<Merged | undefined> {
  const base = new MapDigest()
  const target = new MapDigest()
  const ranges = new RangeList<MergedRange['kind']>(['data', 'zero', 'compare'])
  const reasons = new Set<string>()
  const input = {
    base: base.observe(files.extentMap(files.base, signal)),
    target: target.observe(files.extentMap(files.target, signal)),
    baseSize,
    targetSize,
  }
  for await (const batch of mergeMaps(input)) {
    for (const { start, length, kind, physicalStart, reason } of batch) {
      ranges.push(start, length, kind, physicalStart)
      if (kind === 'compare') reasons.add(reason)
    }
    if (batch.length > 0) options.onProgress?.(batch.at(-1)!.start)
  }
  const baseAgain = await digestOf(files.extentMap(files.base, signal))
  const targetAgain = await digestOf(files.extentMap(files.target, signal))
  return base.value() === baseAgain && target.value() === targetAgain ? { ranges, reasons } : undefined
}

async function digestOf(map: AsyncIterable<ExtentBatch>): Promise<string> {
  const digest = new MapDigest()
  for await (const batch of map) digest.add(batch)
  return digest.value()
}

function toResult(
  files: DiffFiles,
  { ranges, reasons }: Merged,
  signal: AbortSignal | undefined,
): DiffResult {
  const settled = settle(files, ranges, signal)
  const compared = ranges.bytesOf('compare')
  if (compared === 0) return { method: 'physical', ranges: settled }
  return {
    method: ranges.bytesOf('data') + ranges.bytesOf('zero') === 0 ? 'content' : 'physical',
    fallbackReason: `${compared} bytes were compared by content, their extents being ${[...reasons].sort().join(', ')}`,
    ranges: settled,
  }
}

/** Replaces the ranges that have to be compared by what the comparison finds. */
async function* settle(
  files: DiffFiles,
  ranges: RangeList<MergedRange['kind']>,
  signal: AbortSignal | undefined,
): AsyncGenerator<ChangedRangeBatch> {
  let known: ChangedRange[] = []
  let toCompare: Span[] = []
  for (const { start, length, kind, physicalStart } of ranges) {
    if (kind === 'compare') {
      if (known.length > 0) yield known
      known = []
      const last = toCompare.at(-1)
      if (last !== undefined && last.start + last.length === start) last.length += length
      else toCompare.push({ start, length })
    } else {
      if (toCompare.length > 0) yield* compareRanges(files.base, files.target, toCompare, signal)
      toCompare = []
      known.push({ start, length, kind, physicalStart })
    }
    if (known.length === RANGES_PER_BATCH) {
      yield known
      known = []
    }
  }
  if (known.length > 0) yield known
  if (toCompare.length > 0) yield* compareRanges(files.base, files.target, toCompare, signal)
}
