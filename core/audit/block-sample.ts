import { COMPARE_BLOCK } from '../extents/compare-ranges.ts'
import type { SeededRandom } from './seeded-random.ts'

/** Bytes. */
export interface ByteRange {
  readonly start: number
  readonly length: number
}

/** How many blocks of the file's 4 KiB grid a range touches. */
export function blocksIn({ start, length }: ByteRange): number {
  return Math.floor((start + length - 1) / COMPARE_BLOCK) - Math.floor(start / COMPARE_BLOCK) + 1
}

/**
 * One block, by chance, of every `stratum` blocks in a row, counted on over all ranges that `pick` is called with. Holds
 * no list, so a sample may have any size; picks in ascending order, so that the storage is read forward.
 */
export class BlockSample {
  readonly #stratum: number
  readonly #blocks: number
  readonly #random: SeededRandom
  /** Blocks before the range at hand. */
  #passed = 0
  #row = -1
  #picked = -1

  /** @param blocks how many there are in all; the last row may be shorter */
  constructor(stratum: number, blocks: number, random: SeededRandom) {
    this.#stratum = stratum
    this.#blocks = blocks
    this.#random = random
    this.#nextRow()
  }

  /** How long the rows must be so that at least `wanted` of `blocks` blocks are read. */
  static stratumFor(wanted: number, blocks: number): number {
    return Math.max(1, Math.floor(blocks / wanted))
  }

  *pick(ranges: Iterable<ByteRange>): Generator<ByteRange> {
    for (const range of ranges) {
      const end = range.start + range.length
      const first = Math.floor(range.start / COMPARE_BLOCK)
      const count = blocksIn(range)
      while (this.#picked < this.#passed + count) {
        const block = (first + this.#picked - this.#passed) * COMPARE_BLOCK
        const start = Math.max(range.start, block)
        yield { start, length: Math.min(end, block + COMPARE_BLOCK) - start }
        this.#nextRow()
      }
      this.#passed += count
    }
  }

  #nextRow(): void {
    this.#row += 1
    const start = this.#row * this.#stratum
    const length = Math.min(this.#stratum, this.#blocks - start)
    this.#picked = length > 0 ? start + this.#random.below(length) : Number.POSITIVE_INFINITY
  }
}
