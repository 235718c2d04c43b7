const MINUTE_MS = 60_000

/** With the keys, a few megabytes. */
const MAX_KEYS = 10_000

interface Bucket {
  readonly left: number
  readonly at: number
}

/**
 * Lets each key fail so often in a minute, and as often at once. Whom it forgets, the one that was quiet for longest when
 * there are too many, begins anew.
 */
export class FailureBudget {
  readonly #perMinute: number
  readonly #now: () => number
  readonly #buckets = new Map<string, Bucket>()

  /** @param now milliseconds of a clock that never jumps */
  constructor(perMinute: number, now: () => number = () => performance.now()) {
    this.#perMinute = perMinute
    this.#now = now
  }

  get size(): number {
    return this.#buckets.size
  }

  /** Milliseconds until the key may fail again; 0 when it may now. */
  wait(key: string): number {
    const left = this.#left(key)
    return left >= 1 ? 0 : Math.ceil(((1 - left) * MINUTE_MS) / this.#perMinute)
  }

  spend(key: string): void {
    this.#set(key, this.#left(key) - 1)
  }

  giveBack(key: string): void {
    this.#set(key, this.#left(key) + 1)
  }

  #left(key: string): number {
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) return this.#perMinute
    const grown = ((this.#now() - bucket.at) * this.#perMinute) / MINUTE_MS
    return Math.min(this.#perMinute, bucket.left + grown)
  }

  #set(key: string, left: number): void {
    // Behind all others: a map keeps its keys in the order they were put in.
    this.#buckets.delete(key)
    if (left >= this.#perMinute) return
    this.#buckets.set(key, { left, at: this.#now() })
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size > MAX_KEYS) this.#buckets.delete(oldest!)
  }
}
