import { createHash } from 'node:crypto'
import { DiskferryError } from '../../core/errors.ts'
import type { Authenticator } from '../../core/services.ts'
import { clientNetwork } from '../client-address.ts'
import type { ApiLimits } from '../limits.ts'
import { FailureBudget } from './failure-budget.ts'

/** Pairs of a user and an address that have logged in. */
const MAX_KNOWN = 1000

/**
 * Puts a limit on failed logins by address and by user, before any work is done for one. A login counts as failed while
 * it is being checked, so that many at once get no further than one after the other. What is refused here says nothing
 * of the password: the right one is refused as well.
 */
export class LimitedAuthenticator {
  readonly #authenticator: Authenticator
  readonly #byAddress: FailureBudget
  readonly #byUser: FailureBudget
  /**
   * Who has logged in from somewhere has failures of his own there, and goes on logging in while others guess at his password:
   * else anybody who knows a user's name could keep him out. As many as anybody has: without a limit of their own they would
   * tell who asks from there which names exist.
   */
  readonly #known = new Set<string>()

  constructor(
    authenticator: Authenticator,
    limits: Pick<ApiLimits, 'failedLoginsPerAddress' | 'failedLoginsPerUser'>,
    now?: () => number,
  ) {
    this.#authenticator = authenticator
    this.#byAddress = new FailureBudget(limits.failedLoginsPerAddress, now)
    this.#byUser = new FailureBudget(limits.failedLoginsPerUser, now)
  }

  /** @throws LOGIN_LIMITED, and what the authenticator throws */
  async authenticate(
    username: string,
    password: string,
    address: string,
    signal?: AbortSignal,
  ): Promise<void> {
    const network = clientNetwork(address)
    // Names may be long, and are whatever a stranger sends.
    const user = createHash('sha256').update(username).digest('base64')
    const pair = `${user} ${network}`
    const budgets: readonly (readonly [FailureBudget, string])[] = [
      [this.#byAddress, network],
      [this.#byUser, this.#known.has(pair) ? pair : user],
    ]
    const wait = Math.max(...budgets.map(([budget, key]) => budget.wait(key)))
    if (wait > 0) throw limited(wait)
    for (const [budget, key] of budgets) budget.spend(key)
    try {
      await this.#authenticator.authenticate(username, password, signal)
    } catch (error) {
      if (!failed(error)) for (const [budget, key] of budgets) budget.giveBack(key)
      throw error
    }
    for (const [budget, key] of budgets) budget.giveBack(key)
    this.#remember(pair)
  }

  #remember(pair: string): void {
    this.#known.delete(pair)
    this.#known.add(pair)
    const [oldest] = this.#known
    if (this.#known.size > MAX_KNOWN) this.#known.delete(oldest!)
  }
}

/** Was the password looked at? Who goes away before the answer has cost the same. */
function failed(error: unknown): boolean {
  return error instanceof DiskferryError && (error.code === 'LOGIN_REFUSED' || error.code === 'ABORTED')
}

function limited(waitMs: number): DiskferryError {
  const seconds = Math.ceil(waitMs / 1000)
  return new DiskferryError(
    'LOGIN_LIMITED',
    `too many logins have failed from this address or for this user; try again in ${seconds} s`,
    { retryAfterSeconds: seconds },
  )
}
