import { Agent, request } from 'undici'
import { DiskferryError } from '../../core/errors.ts'
import type { DemoServer } from './demo-server.ts'

export interface ChunkJson {
  readonly start: number
  readonly length: number
  readonly zero?: boolean
}

export interface DiskSnapshotJson {
  readonly name: string
  readonly path: string
  readonly size: number
  readonly chunks: readonly ChunkJson[]
}

export interface SnapshotJson {
  readonly id: string
  readonly disks: readonly DiskSnapshotJson[]
}

export interface RepositoryJson {
  readonly mount_point: string
  readonly compatible: boolean
  readonly reasons: readonly string[]
}

/** A client as a backup program has one: HTTPS, a token, JSON, byte ranges. Knows nothing of the server's insides. */
export class DemoClient {
  readonly #server: DemoServer
  readonly #agent: Agent
  #token = ''

  constructor(server: DemoServer) {
    this.#server = server
    this.#agent = new Agent({ connect: { ca: server.certificate } })
  }

  async login(signal: AbortSignal): Promise<void> {
    const { username, password } = this.#server
    const answer = (await this.#json('POST', '/api/v1/auth/login', signal, { username, password })) as {
      token: string
    }
    this.#token = answer.token
  }

  async repositories(signal: AbortSignal): Promise<readonly RepositoryJson[]> {
    return (await this.#json('GET', '/api/v1/repositories', signal)) as readonly RepositoryJson[]
  }

  async vms(
    signal: AbortSignal,
  ): Promise<readonly { name: string; friendly_name: string; snapshots: string[] }[]> {
    return (await this.#json('GET', '/api/v1/vms', signal)) as []
  }

  async createSnapshot(vmId: string, signal: AbortSignal): Promise<SnapshotJson> {
    return (await this.#json('POST', `/api/v1/vms/${vmId}/snapshots`, signal)) as SnapshotJson
  }

  async snapshot(
    vmId: string,
    id: string,
    compareTo: string | undefined,
    signal: AbortSignal,
  ): Promise<SnapshotJson> {
    const query = compareTo === undefined ? '' : `?compareTo=${compareTo}`
    return (await this.#json('GET', `/api/v1/vms/${vmId}/snapshots/${id}${query}`, signal)) as SnapshotJson
  }

  async purge(vmId: string, signal: AbortSignal): Promise<void> {
    await this.#json('DELETE', `/api/v1/vms/${vmId}/snapshots`, signal)
  }

  /** The bytes of one range of a disk. */
  async bytes(
    vmId: string,
    snapshotId: string,
    disk: string,
    start: number,
    length: number,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const path = `/api/v1/vms/${vmId}/snapshots/${snapshotId}/disks/${encodeURIComponent(disk)}`
    const { statusCode, body } = await request(`${this.#server.baseUrl}${path}`, {
      dispatcher: this.#agent,
      headers: { ...this.#headers(), range: `bytes=${start}-${start + length - 1}` },
      signal,
    })
    const content = Buffer.from(await body.arrayBuffer())
    if (statusCode === 206 && content.length === length) return content
    throw new DiskferryError(
      'READ_FAILED',
      `GET ${path} gave ${statusCode} with ${content.length} of ${length} bytes`,
    )
  }

  close(): Promise<void> {
    return this.#agent.destroy()
  }

  async #json(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    signal: AbortSignal,
    content?: object,
  ): Promise<unknown> {
    const { statusCode, body } = await request(`${this.#server.baseUrl}${path}`, {
      method,
      dispatcher: this.#agent,
      headers: this.#headers(),
      body: content === undefined ? null : JSON.stringify(content),
      signal,
    })
    const text = await body.text()
    if (statusCode !== 200)
      throw new DiskferryError('INTERNAL', `${method} ${path} gave ${statusCode}: ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }

  #headers(): Record<string, string> {
    return {
      'content-type': 'application/json',
      ...(this.#token && { authorization: `Bearer ${this.#token}` }),
    }
  }
}
