/**
 * Seeded random numbers (xoshiro128**, https://prng.di.unimi.it/xoshiro128starstar.c): the same seed gives the
 * same sequence on every machine, so that a failure can be run again by its seed.
 */
export class Random {
  readonly seed: number
  readonly #state: Uint32Array

  constructor(seed: number) {
    this.seed = seed
    this.#state = seedState(seed)
  }

  /** An integer from 0 to 2^32 - 1. */
  next(): number {
    const state = this.#state
    const s1 = state[1]!
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0
    state[2] = state[2]! ^ state[0]!
    state[3] = state[3]! ^ s1
    state[1] = s1 ^ state[2]!
    state[0] = state[0]! ^ state[3]!
    state[2] = state[2]! ^ (s1 << 9)
    state[3] = rotateLeft(state[3]!, 11)
    return result
  }

  /** A number from 0 to below 1. */
  fraction(): number {
    return this.next() / 2 ** 32
  }

  /** An integer from `low` to `high`, both included; both within 2^53. */
  between(low: number, high: number): number {
    const wide = (this.next() >>> 11) * 2 ** 32 + this.next()
    return low + Math.floor((wide / 2 ** 53) * (high - low + 1))
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

  /** Bytes that no filesystem can compress. */
  bytes(length: number): Buffer {
    const words = new Uint32Array(Math.ceil(length / 4))
    for (let index = 0; index < words.length; index += 1) words[index] = this.next()
    return Buffer.from(words.buffer, 0, length)
  }

  /** An independent generator: what is drawn from one does not move the other. */
  fork(label: string): Random {
    let hash = this.seed ^ 0x9e3779b9
    for (const character of label) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193)
    return new Random(hash >>> 0)
  }
}

/** splitmix32 spreads neighbouring seeds over the whole state, which must not be all zeros. */
function seedState(seed: number): Uint32Array {
  let counter = seed >>> 0
  return Uint32Array.from({ length: 4 }, () => {
    counter = (counter + 0x9e3779b9) >>> 0
    let mixed = counter
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    return (mixed ^ (mixed >>> 16)) >>> 0
  })
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

/**
 * Seeds to run: `MODEL_SEEDS=7`, `MODEL_SEEDS=1-100`, `MODEL_SEEDS=3,9,20-30`, or the default.
 * @throws for anything else, so that a typing error doesn't run nothing.
 */
export function seedsFrom(value: string | undefined, fallback: string): readonly number[] {
  return (value ?? fallback).split(',').flatMap((part) => {
    const match = /^\s*(\d{1,9})(?:-(\d{1,9}))?\s*$/.exec(part)
    const first = Number(match?.[1])
    const last = Number(match?.[2] ?? match?.[1])
    if (match === null || last < first)
      throw new Error(`'${part}' is neither a seed nor a range of seeds such as 1-20`)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}
