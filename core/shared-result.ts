const FRESH_MS = 1_000

/**
 * Work whose result anybody may ask for, as often as he likes: done once for all who ask while it is under way or for a
 * moment after. A failure is shared in the same way.
 */
export class SharedResult<Result> {
  readonly #work: () => Promise<Result>
  readonly #freshMs: number
  #latest: Promise<Result> | undefined
  /** When the latest ended; infinite while it is under way. */
  #endedAt = Number.POSITIVE_INFINITY

  /** @param work takes no signal: one who asked and went away must not end it for the others */
  constructor(work: () => Promise<Result>, freshMs = FRESH_MS) {
    this.#work = work
    this.#freshMs = freshMs
  }

  /** @throws what the work throws */
  get(): Promise<Result> {
    if (this.#latest === undefined || performance.now() - this.#endedAt >= this.#freshMs) {
      this.#endedAt = Number.POSITIVE_INFINITY
      this.#latest = this.#begin()
    }
    return this.#latest
  }

  async #begin(): Promise<Result> {
    try {
      return await this.#work()
    } finally {
      this.#endedAt = performance.now()
    }
  }
}
