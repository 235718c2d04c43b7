import type { DiskMap } from '../services.ts'
import type { ByteRange } from './block-sample.ts'

/** The ranges of a disk that its map does not mention: those a client believes to be as they were. */
export function* unreportedRanges({ chunks, size }: DiskMap): Generator<ByteRange> {
  let end = 0
  for (const { start, length } of chunks) {
    if (start > end) yield { start: end, length: start - end }
    end = start + length
  }
  if (end < size) yield { start: end, length: size - end }
}

/** The ranges of a disk that are said to read as zeros: a client does not fetch them. */
export function* zeroRanges({ chunks }: DiskMap): Generator<ByteRange> {
  for (const { start, length, zero } of chunks) {
    if (zero) yield { start, length }
  }
}
