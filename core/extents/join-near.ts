export interface ByteRange {
  /** Bytes. */
  readonly start: number
  readonly length: number
}

/** At 1 Gb/s these take 0.13 ms, less than a question to a file server of its own. */
export const NEAR_BYTES = 16 * 1024

/** Joins ascending ranges with at most NEAR_BYTES between them: reading what lies between costs less than another call. */
export async function* joinNear(
  ranges: Iterable<ByteRange> | AsyncIterable<ByteRange>,
): AsyncGenerator<ByteRange> {
  let joined: ByteRange | undefined
  for await (const range of ranges) {
    if (joined !== undefined && range.start - (joined.start + joined.length) <= NEAR_BYTES) {
      joined = { start: joined.start, length: range.start + range.length - joined.start }
    } else {
      if (joined !== undefined) yield joined
      joined = range
    }
  }
  if (joined !== undefined) yield joined
}
