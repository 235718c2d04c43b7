import { readFile } from 'node:fs/promises'
import type { ConnectionOptions } from 'node:tls'
import { Client } from 'undici'
import { DiskferryError, describe } from '../../core/errors.ts'
import type { Authenticator } from '../../core/services.ts'
import { credentialProblem } from './credentials.ts'
import { type Deadline, deadline, orAbort } from './deadline.ts'
import { ManagerConnector } from './manager-connector.ts'
import { addressUnknown, certificateChanged, managerUnreachable } from './manager-errors.ts'
import type { ManagerTrust } from './manager-trust.ts'

export interface ManagerAuthenticatorOptions {
  /** The manager's URL, asked for at each login: without `ovm_endpoint` it comes from the agent's database. */
  readonly resolveEndpoint: (signal: AbortSignal) => Promise<string>
  readonly trust: ManagerTrust
  /** For a whole login, 10 s when left out. */
  readonly timeoutMs?: number
}

/** Lists the ids of the repositories: every user of a manager may, and it changes nothing. */
const PATH = '/ovm/core/wsapi/rest/Repository/id'

const DEFAULT_TIMEOUT_MS = 10_000

/** Of the list itself nothing is needed; more than this is not even thrown away. */
const MAX_BODY_BYTES = 256 * 1024

/** Checks logins by making them at the Oracle VM manager. */
export class ManagerAuthenticator implements Authenticator {
  readonly #resolveEndpoint: ManagerAuthenticatorOptions['resolveEndpoint']
  readonly #trust: ManagerTrust
  readonly #timeoutMs: number

  constructor({ resolveEndpoint, trust, timeoutMs = DEFAULT_TIMEOUT_MS }: ManagerAuthenticatorOptions) {
    this.#resolveEndpoint = resolveEndpoint
    this.#trust = trust
    this.#timeoutMs = timeoutMs
  }

  /** @throws LOGIN_REFUSED, MANAGER_UNREACHABLE, MANAGER_CERTIFICATE_CHANGED, ABORTED */
  async authenticate(username: string, password: string, signal?: AbortSignal): Promise<void> {
    const authorization = basicAuthorization(username, password)
    using limit = deadline(this.#timeoutMs, signal)
    const url = await this.#url(limit)
    const host = `${url.hostname}:${url.port || (url.protocol === 'https:' ? 443 : 80)}`
    const pin = this.#trust.mode === 'pin' ? await this.#trust.pins.get(host) : undefined
    let shown: string | undefined
    const connector = new ManagerConnector(await this.#tlsOptions(url), (fingerprint) => {
      if (pin !== undefined && pin !== fingerprint) throw this.#changed(host, pin, fingerprint)
      shown = fingerprint
    })
    const status = await this.#ask(url, authorization, connector, limit)
    if (status === 401 || status === 403) {
      throw new DiskferryError('LOGIN_REFUSED', 'The OVM manager refused the user name or the password.')
    }
    if (status !== 200) throw managerUnreachable(url.href, `it answered ${status} instead of 200 or 401`)
    if (pin === undefined && shown !== undefined) await this.#keep(host, shown)
  }

  async #url(limit: Deadline): Promise<URL> {
    let endpoint: string
    try {
      endpoint = await orAbort(this.#resolveEndpoint(limit.signal), limit.signal)
    } catch (cause) {
      throw limit.signal.aborted ? this.#failed('its address', cause, limit) : addressUnknown(cause)
    }
    const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
    const isTls = url?.protocol === 'https:'
    if (url === undefined || !(isTls || (url.protocol === 'http:' && this.#trust.mode === 'off'))) {
      throw managerUnreachable(JSON.stringify(endpoint.slice(0, 200)), 'this is not an https URL')
    }
    url.pathname = url.pathname.replace(/\/+$/, '') + PATH
    return url
  }

  async #tlsOptions(url: URL): Promise<ConnectionOptions> {
    if (this.#trust.mode !== 'ca') return { rejectUnauthorized: false }
    try {
      return { rejectUnauthorized: true, ca: await readFile(this.#trust.caCertificate) }
    } catch (cause) {
      throw managerUnreachable(url.href, `ovm.ca_certificate can't be read: ${describe(cause)}`, cause)
    }
  }

  /** Each login has a connection of its own: one that was checked for a user is never used for another. */
  async #ask(url: URL, authorization: string, connector: ManagerConnector, limit: Deadline): Promise<number> {
    using connection = connector
    const client = new Client(url.origin, { connect: connection.connect })
    try {
      // undici heeds the signal of a request only once it is connected, and a handshake can take for ever.
      const { statusCode, body } = await orAbort(
        client.request({
          method: 'GET',
          path: url.pathname,
          headers: { authorization, accept: 'application/json' },
          reset: true,
        }),
        limit.signal,
      )
      await body.dump({ limit: MAX_BODY_BYTES, signal: limit.signal })
      return statusCode
    } catch (cause) {
      throw this.#failed(url.href, cause, limit)
    } finally {
      await client.destroy()
    }
  }

  /**
   * Only after a good login: a wrong password, or a machine that is no manager, must not pin anything. Another
   * login may have been first.
   */
  async #keep(host: string, fingerprint: string): Promise<void> {
    if (this.#trust.mode !== 'pin') return
    const pin = await this.#trust.pins.get(host)
    if (pin === undefined) await this.#trust.pins.set(host, fingerprint)
    else if (pin !== fingerprint) throw this.#changed(host, pin, fingerprint)
  }

  #changed(host: string, pinned: string, shown: string): DiskferryError {
    const howToAccept = this.#trust.mode === 'pin' ? this.#trust.howToAccept : ''
    return certificateChanged({ host, pinned, shown, howToAccept })
  }

  #failed(where: string, cause: unknown, limit: Deadline): DiskferryError {
    if (limit.expired) {
      return managerUnreachable(where, `it did not answer within ${this.#timeoutMs / 1000} s`, cause)
    }
    if (limit.signal.aborted) {
      return new DiskferryError('ABORTED', 'the login was given up by the client', { cause })
    }
    return cause instanceof DiskferryError ? cause : managerUnreachable(where, describe(cause), cause)
  }
}

/** RFC 7617 has no way to carry a colon in a user name. UTF-8, as its section 2.1 recommends. */
function basicAuthorization(username: string, password: string): string {
  const problem = username.includes(':')
    ? 'the user name holds a colon'
    : credentialProblem(username, password)
  if (problem !== undefined) throw new DiskferryError('LOGIN_REFUSED', `${problem}.`)
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
