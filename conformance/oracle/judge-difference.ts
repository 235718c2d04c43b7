import { open } from 'node:fs/promises'
import type { ChangedRange } from 'diskferry/core'
import { rangeOrderProblem } from './range-order.ts'
import { BLOCK, firstDifference, PieceBuffer, pieces, RangeWalk, type Region } from './regions.ts'

export interface DifferenceVerdict {
  /** What is wrong; undefined when the ranges say everything and nothing false. */
  readonly problem: string | undefined
  /** Bytes of the target in blocks of 4 KiB that differ from the base. */
  readonly differingBytes: number
  /** Bytes in all ranges. */
  readonly reportedBytes: number
}

/**
 * Judges a difference by the bytes of both files: what a client would have that applied the ranges to its copy of the
 * base must be the target, byte for byte. Beyond the base's end the copy holds zeros.
 *
 * @param regions where to look when the files are too large to be read whole; both hold zeros elsewhere
 */
export async function judgeDifference(
  baseFile: string,
  targetFile: string,
  ranges: readonly ChangedRange[],
  regions?: readonly Region[],
  signal?: AbortSignal,
): Promise<DifferenceVerdict> {
  await using base = await open(baseFile, 'r')
  await using target = await open(targetFile, 'r')
  const { size } = await target.stat()
  const reportedBytes = ranges.reduce((sum, { length }) => sum + length, 0)
  let problem = rangeOrderProblem(ranges, size) ?? kindProblem(ranges)
  let differingBytes = 0
  if (problem !== undefined) return { problem, differingBytes, reportedBytes }

  const walk = new RangeWalk(ranges)
  const [baseBuffer, targetBuffer] = [new PieceBuffer(), new PieceBuffer()]
  for (const piece of pieces(regions ?? [{ start: 0, length: size }])) {
    signal?.throwIfAborted()
    const copy = await baseBuffer.read(base, piece)
    const wanted = await targetBuffer.read(target, piece)
    differingBytes += differingBlocks(copy, wanted)
    for (const { range, from, to } of walk.inside(piece)) {
      if (range.kind === 'data') wanted.copy(copy, from, from, to)
      else copy.fill(0, from, to)
    }
    const wrong = firstDifference(copy, wanted)
    if (wrong !== undefined) problem ??= sentence(piece.start + wrong, wanted[wrong]!, ranges)
  }
  return { problem, differingBytes, reportedBytes }
}

function kindProblem(ranges: readonly ChangedRange[]): string | undefined {
  const odd = ranges.find(({ kind }) => kind !== 'data' && kind !== 'zero')
  if (odd === undefined) return undefined
  return `the range at ${odd.start} is of kind ${JSON.stringify(odd.kind)}, which is neither "data" nor "zero"`
}

function sentence(position: number, byte: number, ranges: readonly ChangedRange[]): string {
  const holder = ranges.find(({ start, length }) => start <= position && position < start + length)
  if (holder === undefined) {
    const now = byte === 0 ? 'reads as zero now' : 'holds other data now'
    return `a change was missed: byte ${position} ${now}, and no range covers it`
  }
  return `the ${holder.length} bytes at ${holder.start} are called zero, but byte ${position} is ${byte}`
}

function differingBlocks(base: Buffer, target: Buffer): number {
  if (base.equals(target)) return 0
  let bytes = 0
  for (let at = 0; at < target.length; at += BLOCK) {
    const end = Math.min(target.length, at + BLOCK)
    if (target.compare(base, at, end, at, end) !== 0) bytes += end - at
  }
  return bytes
}
