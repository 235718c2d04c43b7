export interface ByteRange {
  /** Bytes. */
  readonly start: number
  readonly length: number
}

/** At 1 Gb/s these take 0.13 ms, less than a question to a file server of its own. */
export const NEAR_BYTES = 16 * 1024

/**
 * Joins ascending ranges with at most NEAR_BYTES between them: reading what lies between costs less than another call.
 *
 * @param batches of ranges, which are joined across batches, too
 */
export async function* joinNear(
  batches: Iterable<readonly ByteRange[]> | AsyncIterable<readonly ByteRange[]>,
): AsyncGenerator<ByteRange> {
  let start = 0
  let end = 0
  for await (const ranges of batches) {
    for (const range of ranges) {
      if (end === 0 || range.start - end > NEAR_BYTES) {
        if (end > 0) yield { start, length: end - start }
        start = range.start
      }
      end = range.start + range.length
    }
  }
  if (end > 0) yield { start, length: end - start }
}
