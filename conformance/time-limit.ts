/** How long an operation may take to notice that it is unwanted. */
export const ABORT_PATIENCE_MS = 10_000

/**
 * Aborts what takes too long, and gives up on what does not even notice that. Its timers keep the process alive: a
 * backend that waits for nothing must not end the run in silence.
 */
export class TimeLimit {
  readonly signal: AbortSignal
  /** Rejects when the work went on after it was aborted; never resolves. */
  readonly overrun: Promise<never>
  readonly #limit: NodeJS.Timeout
  readonly #ended = new AbortController()
  #patience: NodeJS.Timeout | undefined

  /** @param outer ends it earlier */
  constructor(milliseconds: number, outer?: AbortSignal) {
    const limit = new AbortController()
    const timeUp = new DOMException('the time limit is over', 'TimeoutError')
    this.#limit = setTimeout(() => limit.abort(timeUp), milliseconds)
    this.signal = outer === undefined ? limit.signal : AbortSignal.any([limit.signal, outer])
    this.overrun = new Promise((_, reject) => {
      const giveUp = () => {
        const seconds = ABORT_PATIENCE_MS / 1000
        reject(new Error(`the backend went on for ${seconds} s after it was aborted`))
      }
      const wait = () => {
        this.#patience = setTimeout(giveUp, ABORT_PATIENCE_MS)
      }
      // A test runner aborts its signal also when the test is done.
      this.signal.addEventListener('abort', wait, { once: true, signal: this.#ended.signal })
      if (this.signal.aborted) wait()
    })
  }

  /** The work is done; nothing is waited for any more. */
  end(): void {
    this.#ended.abort()
    clearTimeout(this.#limit)
    clearTimeout(this.#patience)
  }
}
