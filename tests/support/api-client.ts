import assert from 'node:assert/strict'
import { Agent, type Dispatcher } from 'undici'
import { PASSWORD, type TestServer, USERNAME } from './server.ts'

/** A chunk as the API answers it. Bytes. */
export interface RemoteChunk {
  readonly start: number
  readonly length: number
  readonly physical_start: number
  readonly zero?: boolean
}

export interface RemoteDisk {
  readonly name: string
  readonly parent_path: string
  readonly path: string
  readonly snapshot_id: string
  readonly repo_mountpoint: string
  readonly size: number
  readonly chunks: readonly RemoteChunk[]
  readonly diff?: { readonly method: string; readonly changed_bytes: number; readonly zero_bytes: number }
}

export interface RemoteSnapshot {
  readonly id: string
  readonly vm_id: string
  readonly disks: readonly RemoteDisk[]
}

export interface RemoteVm {
  readonly name: string
  readonly uuid: string
  readonly friendly_name: string
  readonly snapshot_compatible: boolean
  readonly snapshots: readonly string[]
  readonly disks: readonly { readonly name: string; readonly path: string }[]
}

export interface CallOptions {
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Talks to a server as its clients do: HTTPS with the one certificate trusted, a token from a login. */
export class ApiClient implements AsyncDisposable {
  readonly #origin: string
  readonly #tls: { readonly ca: string; readonly cert?: string; readonly key?: string }
  #agent: Agent
  #token = ''

  /** @param key of a certificate to show: the server's own */
  constructor({ baseUrl, ca }: Pick<TestServer, 'baseUrl' | 'ca'>, key?: string) {
    this.#origin = baseUrl
    this.#tls = { ca, ...(key !== undefined && { cert: ca, key }) }
    this.#agent = this.#connect()
  }

  async login(username = USERNAME, password = PASSWORD): Promise<void> {
    const body = JSON.stringify({ username, password })
    const { token } = (await this.json('POST', '/api/v1/auth/login', { body })) as { readonly token: string }
    this.#token = token
  }

  /** Any answer, whatever its status; the caller reads its body to the end. */
  call(
    method: Dispatcher.HttpMethod,
    path: string,
    options: CallOptions = {},
  ): Promise<Dispatcher.ResponseData> {
    const authorization = this.#token === '' ? {} : { authorization: `Bearer ${this.#token}` }
    return this.#agent.request({
      origin: this.#origin,
      method,
      path,
      headers: { ...authorization, ...options.headers },
      ...(options.body === undefined ? {} : { body: options.body }),
    })
  }

  /** @throws with the answer when its status is not 200 */
  async json(method: Dispatcher.HttpMethod, path: string, options: CallOptions = {}): Promise<unknown> {
    const { statusCode, body } = await this.call(method, path, options)
    const text = await body.text()
    assert.equal(statusCode, 200, `${method} ${path}: ${statusCode} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }

  // With the trailing slashes of the ancestor's example client.

  async vms(): Promise<readonly RemoteVm[]> {
    return (await this.json('GET', '/api/v1/vms/')) as RemoteVm[]
  }

  async createSnapshot(vmId: string): Promise<RemoteSnapshot> {
    return (await this.json('POST', `/api/v1/vms/${vmId}/snapshots/`)) as RemoteSnapshot
  }

  /** The ancestor's clients are in Python, where a boolean in a query reads `False`. */
  async snapshot(vmId: string, id: string, compareTo = '', squashChunks: 'True' | 'False' = 'False') {
    const query = `squashChunks=${squashChunks}&compareTo=${compareTo}`
    return (await this.json('GET', `/api/v1/vms/${vmId}/snapshots/${id}/?${query}`)) as RemoteSnapshot
  }

  async deleteSnapshot(vmId: string, id: string): Promise<void> {
    await this.json('DELETE', `/api/v1/vms/${vmId}/snapshots/${id}/`)
  }

  /** Closes its connections; the next request makes a new one. */
  async disconnect(): Promise<void> {
    const agent = this.#agent
    this.#agent = this.#connect()
    await agent.close()
  }

  /** Breaks off what is under way, as a client that vanishes does. */
  destroy(): Promise<void> {
    return this.#agent.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.close()
  }

  #connect(): Agent {
    return new Agent({ connect: this.#tls })
  }
}
