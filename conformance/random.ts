/**
 * Seeded random numbers: the same seed gives the same history on every machine. A counter, mixed by a hash function
 * from https://github.com/skeeto/hash-prospector.
 */
export class Random {
  #counter: number

  constructor(seed: number) {
    this.#counter = Math.imul(seed, 0x85ebca6b) >>> 0
  }

  /** An integer from 0 to 2^32 - 1. */
  next(): number {
    this.#counter = (this.#counter + 0x9e3779b9) >>> 0
    let mixed = this.#counter
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }

  /** A number from 0 to below 1. */
  fraction(): number {
    return this.next() / 2 ** 32
  }

  /** An integer from `low` to `high`, both included, less than 2^32 apart. */
  between(low: number, high: number): number {
    return low + Math.floor(this.fraction() * (high - low + 1))
  }

  /** Like `between`, but as likely below 1 KiB as above 1 MiB: sizes that matter lie at every scale. */
  magnitude(low: number, high: number): number {
    return Math.min(high, Math.floor(low * ((high + 1) / low) ** this.fraction()))
  }

  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.between(0, choices.length - 1)]!
  }

  /** By weight: `{ write: 5, discard: 1 }` gives `write` five times out of six. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    const entries = Object.entries<number>(weights)
    let rest = this.fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [name, weight] of entries) {
      rest -= weight
      if (rest < 0) return name as Name
    }
    return entries.at(-1)![0] as Name
  }
}
