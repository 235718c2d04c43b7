interface Waiting {
  readonly grant: () => void
  readonly refuse: (reason: unknown) => void
}

/** So many at once, the others in the order of asking. */
export class Turns {
  readonly #waiting = new Set<Waiting>()
  #free: number

  constructor(count: number) {
    this.#free = count
  }

  /** Who is granted a turn gives it back. @throws the signal's reason; what `refuse` was given */
  async take(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (this.#free > 0) {
      this.#free--
      return
    }
    let waiting: Waiting | undefined
    const leave = () => waiting?.refuse(signal?.reason)
    signal?.addEventListener('abort', leave, { once: true })
    try {
      await new Promise<void>((grant, refuse) => {
        waiting = { grant, refuse }
        this.#waiting.add(waiting)
      })
    } finally {
      this.#waiting.delete(waiting!)
      signal?.removeEventListener('abort', leave)
    }
  }

  give(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#free++
      return
    }
    this.#waiting.delete(next)
    next.grant()
  }

  /** Sends away all who wait. */
  refuse(reason: unknown): void {
    for (const waiting of this.#waiting) waiting.refuse(reason)
    this.#waiting.clear()
  }
}
