import { setTimeout as delay } from 'node:timers/promises'

/** Waits shorter than this, in milliseconds, are saved up: a timer is not more exact. */
const SHORTEST_WAIT_MS = 5

/** Spreads work over time: so many bytes a second at most, without bursts after a pause. */
export class Throttle {
  readonly #bytesPerMs: number
  #freeAt = 0

  /** @param rate bytes a second */
  constructor(rate: number) {
    this.#bytesPerMs = rate / 1000
  }

  /** Waits until these bytes may be read. @throws the abort of the signal */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    const now = performance.now()
    const begin = Math.max(now, this.#freeAt)
    this.#freeAt = begin + bytes / this.#bytesPerMs
    if (begin - now >= SHORTEST_WAIT_MS) await delay(begin - now, undefined, { signal })
  }
}
