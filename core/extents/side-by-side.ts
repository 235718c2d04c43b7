import type { Extent, ExtentBatch } from '../storage-backend.ts'
import { ExtentReader, type Segment } from './extent-reader.ts'

/** A range of two files in which each is made of one thing: an extent, or a hole (undefined). */
export interface Pair {
  /** Bytes; `end` is where the next one starts. */
  readonly start: number
  readonly end: number
  readonly base: Extent | undefined
  readonly target: Extent | undefined
}

export interface SideBySideInput {
  readonly base: AsyncIterable<ExtentBatch>
  readonly target: AsyncIterable<ExtentBatch>
  /** Bytes. */
  readonly baseSize: number
  readonly targetSize: number
  /** Both maps are read to the sizes, also the base's part beyond a target that shrank. */
  readonly toTheEnd?: boolean
}

const PAIRS_PER_BATCH = 1024
const BEYOND: Segment = { extent: undefined, end: Number.POSITIVE_INFINITY }

/**
 * Walks two maps in one pass, O(extents of both), from the start to the end of the target; beyond the base's end there is a
 * hole. In batches: a million extents must not be a million turns of the event loop.
 *
 * @throws errors of the maps
 */
export async function* sideBySide(input: SideBySideInput): AsyncGenerator<readonly Pair[]> {
  const { baseSize, targetSize } = input
  const base = new ExtentReader(input.base)
  const target = new ExtentReader(input.target)
  try {
    let batch: Pair[] = []
    for (let start = 0; start < targetSize; ) {
      const beyond = start >= baseSize
      let inTarget = target.known(start)
      let inBase = beyond ? BEYOND : base.known(start)
      if (inTarget === undefined || inBase === undefined) {
        // At once: on a network filesystem each batch of a map costs thousands of round trips.
        ;[inTarget, inBase] = await Promise.all([inTarget ?? target.at(start), inBase ?? base.at(start)])
      }
      const end = Math.min(inTarget.end, inBase.end, beyond ? targetSize : Math.min(baseSize, targetSize))
      batch.push({ start, end, base: inBase.extent, target: inTarget.extent })
      if (batch.length === PAIRS_PER_BATCH) {
        yield batch
        batch = []
      }
      start = end
    }
    if (batch.length > 0) yield batch
    if (input.toTheEnd) {
      await drain(base, baseSize)
      await drain(target, targetSize)
    }
  } finally {
    await base.close()
    await target.close()
  }
}

async function drain(reader: ExtentReader, size: number): Promise<void> {
  for (let position = 0; position < size; ) position = Math.min((await reader.at(position)).end, size)
}
