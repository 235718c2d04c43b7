const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000

export interface LaterTriesOptions {
  /** The next ones are twice as long, each time. */
  readonly firstPauseMs?: number
  readonly longestPauseMs?: number
}

/** Tries something for a VM later, and again after longer and longer pauses, until it is done. */
export class LaterTries {
  readonly #attempt: (vmId: string) => Promise<boolean>
  readonly #firstPauseMs: number
  readonly #longestPauseMs: number
  readonly #timers = new Map<string, NodeJS.Timeout>()
  readonly #underWay = new Map<string, Promise<void>>()
  /** Added while an attempt was under way, which may have looked before there was something to do. */
  readonly #again = new Set<string>()
  #stopped = false

  /** @param attempt whether it is done; never rejects */
  constructor(
    attempt: (vmId: string) => Promise<boolean>,
    { firstPauseMs = FIRST_PAUSE_MS, longestPauseMs = LONGEST_PAUSE_MS }: LaterTriesOptions = {},
  ) {
    this.#attempt = attempt
    this.#firstPauseMs = firstPauseMs
    this.#longestPauseMs = longestPauseMs
  }

  /** Does nothing for a VM that has its turn already. */
  add(vmId: string): void {
    if (this.#underWay.has(vmId)) this.#again.add(vmId)
    else if (!this.#timers.has(vmId)) this.#wait(vmId, this.#firstPauseMs)
  }

  /** Gives up, and returns when no attempt is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
    await Promise.all(this.#underWay.values())
  }

  #wait(vmId: string, pauseMs: number): void {
    if (this.#stopped) return
    const timer = setTimeout(() => {
      this.#timers.delete(vmId)
      this.#underWay.set(vmId, this.#try(vmId, pauseMs))
    }, pauseMs)
    this.#timers.set(vmId, timer.unref())
  }

  async #try(vmId: string, pauseMs: number): Promise<void> {
    const done = await this.#attempt(vmId)
    this.#underWay.delete(vmId)
    if (this.#again.delete(vmId) || !done) this.#wait(vmId, Math.min(2 * pauseMs, this.#longestPauseMs))
  }
}
