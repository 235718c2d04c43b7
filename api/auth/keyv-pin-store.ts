import type Keyv from 'keyv'
import { DiskferryError, describe } from '../../core/errors.ts'
import type { PinStore } from './manager-trust.ts'

/** Keeps the managers' fingerprints in a namespace of the database. */
export class KeyvPinStore implements PinStore {
  readonly #keyv: Keyv<string>

  /** @param keyv with `throwOnErrors`: a pin that could not be read must not look like one that was never set */
  constructor(keyv: Keyv<string>) {
    this.#keyv = keyv
  }

  get(host: string): Promise<string | undefined> {
    return this.#guarded(() => this.#keyv.get(host))
  }

  async set(host: string, fingerprint: string): Promise<void> {
    await this.#guarded(() => this.#keyv.set(host, fingerprint))
  }

  /** The next good login at each manager sets its pin anew. */
  async forgetAll(): Promise<void> {
    await this.#guarded(() => this.#keyv.clear())
  }

  async #guarded<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      throw new DiskferryError(
        'STORE_FAILED',
        `the pinned certificate of the manager can't be read or kept in the database: ${describe(error)}`,
        { cause: error },
      )
    }
  }
}
