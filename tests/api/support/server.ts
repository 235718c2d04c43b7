import type { IncomingHttpHeaders } from 'node:http'
import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { Agent, type Dispatcher } from 'undici'
import { type ApiOptions, buildApp } from '../../../api/app.ts'
import type { ErrorBody } from '../../../api/error-answer.ts'
import { type Certificates, makeCertificates } from './certificates.ts'
import { FakeServices } from './fake-services.ts'

export const SECRET = 'a secret of the tests that is long enough to be one'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  json(): unknown
  /** The body of a refusal. */
  refusal(): ErrorBody
}

export interface ApiServerOptions extends Partial<ApiOptions> {
  /** `debug` when left out. */
  readonly logLevel?: string
}

/** What tests look at in a line of the log. */
export interface LogEntry {
  readonly level: number
  readonly msg: string
  readonly requestId?: string
  readonly method?: string
  readonly route?: string | null
  readonly params?: unknown
  readonly path?: string
  readonly status?: number
  readonly ms?: number
  readonly bytes?: number
  readonly client?: string
  readonly user?: string
  readonly code?: string
  readonly details?: string
  readonly aborted?: boolean
  readonly audit?: string
  readonly holder?: string
}

export interface SendOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** `null` sends none; by default a good one is sent. */
  readonly authorization?: string | null
}

/** The real API over real TLS on a port of its own, on fake services, with its log in memory. */
export class ApiServer implements AsyncDisposable {
  readonly app: FastifyInstance
  readonly fake: FakeServices
  readonly certificates: Certificates
  readonly url: string
  readonly port: number
  readonly agent: Agent
  readonly token: string
  readonly #log: readonly string[]

  private constructor(
    app: FastifyInstance,
    fake: FakeServices,
    certificates: Certificates,
    log: readonly string[],
  ) {
    this.app = app
    this.fake = fake
    this.certificates = certificates
    this.url = app.listeningOrigin
    this.port = Number(new URL(this.url).port)
    this.agent = new Agent({ connect: { ca: certificates.cert } })
    this.token = app.jwt.sign({ user: 'tester' })
    this.#log = log
  }

  static async start({ logLevel = 'debug', ...options }: ApiServerOptions = {}): Promise<ApiServer> {
    const fake = new FakeServices()
    const certificates = await makeCertificates()
    const log: string[] = []
    const stream = new Writable({
      write: (line: Buffer, _encoding, done) => {
        log.push(line.toString())
        fake.changes.notify()
        done()
      },
    })
    const app = await buildApp({
      services: fake.services,
      jwt: { secret: SECRET, timeToLiveSeconds: 3600 },
      tls: { cert: certificates.cert, key: certificates.key, requireClientCertificate: false },
      logger: pino({ level: logLevel }, stream),
      ...options,
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    return new ApiServer(app, fake, certificates, log)
  }

  get log(): string {
    return this.#log.join('')
  }

  /** Every log line so far, parsed. */
  entries(): readonly LogEntry[] {
    return this.#log.map((line) => JSON.parse(line) as LogEntry)
  }

  /** Waits until something about the log or the disks is so. */
  until(holds: () => boolean): Promise<void> {
    return this.fake.changes.until(holds)
  }

  async send(path: string, options: SendOptions = {}): Promise<Answer> {
    const { method = 'GET', headers = {}, body, authorization = `Bearer ${this.token}` } = options
    // Not undici.request(), which would resolve `..` in the path.
    const response = await this.agent.request({
      origin: this.url,
      path,
      method: method as Dispatcher.HttpMethod,
      headers: { ...headers, ...(authorization !== null && { authorization }) },
      body: body ?? null,
    })
    const bytes = Buffer.from(await response.body.arrayBuffer())
    return {
      status: response.statusCode,
      headers: response.headers,
      body: bytes,
      json: () => JSON.parse(bytes.toString()),
      refusal: () => JSON.parse(bytes.toString()) as ErrorBody,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent.destroy()
    this.app.server.closeAllConnections()
    await this.app.close()
  }
}
