import { open } from 'node:fs/promises'
import type { Extent } from 'diskferry/core'
import { rangeOrderProblem } from './range-order.ts'
import { firstDifference, PIECE_BYTES, PieceBuffer, pieces, RangeWalk, type Region } from './regions.ts'

const ZEROS = Buffer.alloc(PIECE_BYTES)

/**
 * Judges a map by the bytes of the file: a byte that is not zero lies in a written extent.
 *
 * @param regions where to look when the file is too large to be read whole; it holds zeros elsewhere
 * @returns a sentence about what is wrong, or undefined
 */
export async function judgeMap(
  file: string,
  extents: readonly Extent[],
  regions?: readonly Region[],
  signal?: AbortSignal,
): Promise<string | undefined> {
  await using handle = await open(file, 'r')
  const { size } = await handle.stat()
  const problem = rangeOrderProblem(extents, size) ?? shapeProblem(extents)
  if (problem !== undefined) return problem

  const walk = new RangeWalk(extents)
  const buffer = new PieceBuffer()
  for (const piece of pieces(regions ?? [{ start: 0, length: size }])) {
    signal?.throwIfAborted()
    const bytes = await buffer.read(handle, piece)
    for (const { range, from, to } of walk.inside(piece)) if (!range.unwritten) bytes.fill(0, from, to)
    const wrong = firstDifference(bytes, ZEROS.subarray(0, bytes.length))
    if (wrong !== undefined) return gapSentence(piece.start + wrong, extents)
  }
  return undefined
}

function shapeProblem(extents: readonly Extent[]): string | undefined {
  for (const { start, physicalStart, unwritten } of extents) {
    if (physicalStart !== null && !(Number.isSafeInteger(physicalStart) && physicalStart >= 0)) {
      return `the extent at ${start} has the physical start ${String(physicalStart)}, neither null nor an integer from 0 to 2^53 - 1`
    }
    if (typeof unwritten !== 'boolean') return `the extent at ${start} does not say whether it is unwritten`
  }
  return undefined
}

function gapSentence(position: number, extents: readonly Extent[]): string {
  const holder = extents.find(({ start, length }) => start <= position && position < start + length)
  return holder === undefined
    ? `byte ${position} holds data, and no extent covers it: the map has a gap`
    : `byte ${position} holds data, but the extent at ${holder.start} is called unwritten`
}
