import { DiskferryError } from '../../core/errors.ts'

interface Waiter {
  readonly start: () => void
}

/** Runs at most `running` pieces of work at once; `waiting` more wait their turn, first come, first served. */
export class WorkLimit {
  readonly #running: number
  readonly #waiting: number
  readonly #queue = new Set<Waiter>()
  #active = 0

  constructor(running: number, waiting: number) {
    this.#running = running
    this.#waiting = waiting
  }

  /**
   * @throws ABORTED when the signal fires before the work has started, LOGIN_BUSY when too many wait
   * already, and whatever the work throws
   */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#turn(signal)
    try {
      return await work()
    } finally {
      this.#active--
      this.#startNext()
    }
  }

  #startNext(): void {
    const [next] = this.#queue
    if (next === undefined || this.#active >= this.#running) return
    this.#queue.delete(next)
    this.#active++
    next.start()
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) throw aborted(signal)
    if (this.#active < this.#running) {
      this.#active++
      return
    }
    if (this.#queue.size >= this.#waiting) {
      const message = 'too many logins wait to be checked, so this one was turned away; try again later'
      throw new DiskferryError('LOGIN_BUSY', message)
    }
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        start: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      const onAbort = () => {
        this.#queue.delete(waiter)
        reject(aborted(signal!))
      }
      this.#queue.add(waiter)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }
}

function aborted(signal: AbortSignal): DiskferryError {
  return new DiskferryError('ABORTED', 'the login was given up by the client', { cause: signal.reason })
}
