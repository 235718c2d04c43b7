import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { generate } from 'selfsigned'

const REPOSITORY_IDS = '/ovm/core/wsapi/rest/Repository/id'

export interface RecordedRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** What the client asked for by SNI; undefined when it asked for nothing. */
  readonly servername: string | undefined
}

/** `hang` never answers; `hang-body` sends the headers of a 200 and stops; a number is the status it answers. */
export type MockBehaviour = 'normal' | 'hang' | 'hang-body' | 'endless-body' | 'hang-up' | number

export interface MockManagerOptions {
  readonly username?: string
  readonly password?: string
  /** Names in the certificate, `localhost` when left out; 127.0.0.1 is always there unless `ipInCertificate` is false. */
  readonly name?: string
  readonly ipInCertificate?: boolean
  readonly host?: string
}

interface Identity {
  readonly cert: string
  readonly key: string
}

/**
 * Starts a server that answers like the Oracle VM manager: basic auth on the list of repository ids, 401 with a
 * challenge for wrong credentials, JSON only when asked for it, a self-signed certificate.
 */
export async function startMockManager(options: MockManagerOptions = {}): Promise<MockManager> {
  const manager = new MockManager(options, await makeIdentity(options))
  await manager.listen(options.host ?? '127.0.0.1')
  return manager
}

export class MockManager implements AsyncDisposable {
  readonly requests: RecordedRequest[] = []
  behaviour: MockBehaviour = 'normal'
  connections = 0
  readonly #options: MockManagerOptions
  readonly #server
  #identity: Identity

  constructor(options: MockManagerOptions, identity: Identity) {
    this.#options = options
    this.#identity = identity
    this.#server = createServer(identity, (request, response) => this.#answer(request, response))
    this.#server.on('connection', () => this.connections++)
  }

  async listen(host: string): Promise<void> {
    this.#server.listen(0, host)
    await once(this.#server, 'listening')
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`
  }

  /** PEM. */
  get certificate(): string {
    return this.#identity.cert
  }

  /** SHA-256, `AB:CD:...`. */
  get fingerprint(): string {
    return new X509Certificate(this.#identity.cert).fingerprint256
  }

  /** Whether a password ever came in, whatever was answered. */
  get credentialsArrived(): boolean {
    return this.requests.some((request) => 'authorization' in request.headers)
  }

  /** From now on new connections see another self-signed certificate for the same names. */
  async changeCertificate(): Promise<void> {
    this.#identity = await makeIdentity(this.#options)
    this.#server.setSecureContext(this.#identity)
  }

  /** Settles when the next request has come in. */
  async nextRequest(): Promise<void> {
    await once(this.#server, 'request')
  }

  forgetRequests(): void {
    this.requests.length = 0
    this.connections = 0
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url: path = '', headers } = request
    const { servername } = request.socket as TLSSocket & { readonly servername?: string | false }
    this.requests.push({ method, path, headers, servername: servername || undefined })
    if (this.behaviour === 'hang') return
    if (this.behaviour === 'hang-up') {
      request.socket.destroy()
      return
    }
    if (typeof this.behaviour === 'number') {
      response.writeHead(this.behaviour, { location: `${this.url}/elsewhere` }).end()
      return
    }
    if (headers.authorization !== this.#expectedAuthorization()) {
      response
        .writeHead(401, { 'www-authenticate': 'Basic realm="weblogic"' })
        .end('<html>Unauthorized</html>')
    } else if (method !== 'GET' || path !== REPOSITORY_IDS) {
      response.writeHead(404).end()
    } else {
      this.#list(request, response)
    }
  }

  #list(request: IncomingMessage, response: ServerResponse): void {
    if (request.headers.accept !== 'application/json') {
      response.writeHead(200, { 'content-type': 'application/xml' }).end('<repositoryIds/>')
      return
    }
    response.writeHead(200, { 'content-type': 'application/json' })
    if (this.behaviour === 'hang-body') {
      response.write('[')
    } else if (this.behaviour === 'endless-body') {
      const more = () => {
        while (!response.destroyed && response.write(' '.repeat(16384)));
      }
      response.on('drain', more)
      more()
    } else {
      const value = '0004fb00000300008a5ff4e4c0b6a0d7'
      response.end(
        JSON.stringify([{ type: 'com.oracle.ovm.mgr.ws.model.Repository', value, name: 'repository' }]),
      )
    }
  }

  #expectedAuthorization(): string {
    const { username = 'admin', password = 'manager-password' } = this.#options
    return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  }
}

async function makeIdentity({
  name = 'localhost',
  ipInCertificate = true,
}: MockManagerOptions): Promise<Identity> {
  const ips = ipInCertificate ? [{ type: 7 as const, ip: '127.0.0.1' }] : []
  const made = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: name }, ...ips] }],
  })
  return { cert: made.cert, key: made.private }
}
