const STEP = 0x9e3779b9

/**
 * Random numbers that a seed repeats on every machine: a counter, mixed by a hash function from
 * https://github.com/skeeto/hash-prospector.
 */
export class SeededRandom {
  #counter: number

  /** @param seed 0 to 2^32 - 1 */
  constructor(seed: number) {
    this.#counter = Math.imul(seed, 0x85ebca6b) >>> 0
  }

  /** An integer from 0 to below `end`, which is at most 2^53. */
  below(end: number): number {
    // 53 bits: a row of blocks may be longer than 2^32.
    const fraction = (this.#next() * 2 ** 21 + (this.#next() >>> 11)) / 2 ** 53
    return Math.floor(fraction * end)
  }

  #next(): number {
    this.#counter = (this.#counter + STEP) >>> 0
    let mixed = this.#counter
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
}
