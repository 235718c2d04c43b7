import { clientNetwork } from './client-address.ts'

/** Counts what each client has under way. Knows only clients that have something: its memory is bounded by theirs. */
export class ClientCount {
  readonly #limit: number
  readonly #counts = new Map<string, number>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** One more. @returns what gives it back, once; undefined when the client has as many as it may */
  take(address: string): (() => void) | undefined {
    const client = clientNetwork(address)
    const count = this.#counts.get(client) ?? 0
    if (count >= this.#limit) return undefined
    this.#counts.set(client, count + 1)
    let taken = true
    return () => {
      if (!taken) return
      taken = false
      const left = this.#counts.get(client)! - 1
      if (left === 0) this.#counts.delete(client)
      else this.#counts.set(client, left)
    }
  }
}
