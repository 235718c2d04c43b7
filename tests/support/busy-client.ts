import assert from 'node:assert/strict'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentVm } from './agent-repository.ts'
import type { ApiClient, RemoteSnapshot } from './api-client.ts'
import { wrongDifference } from './difference-oracle.ts'
import type { Random } from './random.ts'

/** What many clients did between them. */
export interface Ledger {
  /** The VM of each snapshot that was answered with 200, by the snapshot's id. */
  readonly created: Map<string, string>
  /** Before the deletion was asked for. */
  readonly deleted: Set<string>
}

export interface BusyClientOptions {
  readonly api: ApiClient
  readonly vms: readonly AgentVm[]
  readonly mount: string
  readonly ledger: Ledger
  readonly random: Random
}

/** How often one is picked among the others. */
const WEIGHTS = { write: 3, create: 2, list: 1, vms: 0.5, compare: 3, download: 3, delete: 2 } as const
const BLOCK = 4096
/** More would only fill the disk. */
const MOST_OF_A_VM = 8
const PIECE = 64 * 1024
const SNAPSHOT_IDS = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g

export type Operation = keyof typeof WEIGHTS
export const OPERATIONS = Object.keys(WEIGHTS) as readonly Operation[]

/** How often each was done to its end, and how often the VM was busy or the snapshot gone. */
export type Counts = Record<Operation | 'busy' | 'gone', number>

/**
 * One of many who do everything at once; each operation gives whether it did what it is there for. What it may meet: a VM that is busy (409) and a snapshot that another one has
 * just deleted (404). Anything else that is not an answer is an error.
 */
export class BusyClient {
  readonly #options: BusyClientOptions
  readonly #counts: Counts = {
    write: 0,
    create: 0,
    list: 0,
    vms: 0,
    compare: 0,
    download: 0,
    delete: 0,
    busy: 0,
    gone: 0,
  }

  constructor(options: BusyClientOptions) {
    this.#options = options
  }

  static sum(clients: readonly BusyClient[]): Counts {
    const sum = { ...clients[0]!.#counts }
    for (const client of clients.slice(1)) {
      for (const [name, count] of Object.entries(client.#counts)) sum[name as keyof Counts] += count
    }
    return sum
  }

  /** @throws at a wrong answer */
  async step(): Promise<void> {
    const { random, vms } = this.#options
    const vm = random.pick(vms)
    const operation = random.weighted(WEIGHTS)
    if (await this[operation](vm)) this.#counts[operation] += 1
  }

  async write({ disks }: AgentVm): Promise<boolean> {
    const { random, mount } = this.#options
    const { name, size } = random.pick(disks)
    await using handle = await open(join(mount, 'VirtualDisks', name), 'r+')
    const length = random.between(1, 16 * BLOCK)
    await handle.write(random.bytes(length), 0, length, random.between(0, size - length))
    return true
  }

  async create(vm: AgentVm): Promise<boolean> {
    const { ledger } = this.#options
    if (this.#snapshotsOf(vm).length >= MOST_OF_A_VM) {
      await this.delete(vm)
      return false
    }
    const made = await this.#ask('POST', `/api/v1/vms/${vm.id}/snapshots`)
    if (made === undefined) return false
    const { id } = made as RemoteSnapshot
    assert.ok(!ledger.created.has(id), `snapshot ${id} was made twice`)
    ledger.created.set(id, vm.id)
    return true
  }

  async list(vm: AgentVm): Promise<boolean> {
    const before = this.#snapshotsOf(vm)
    const listed = (await this.#ask('GET', `/api/v1/vms/${vm.id}/snapshots`)) as RemoteSnapshot[] | undefined
    if (listed === undefined) return false
    const ids = new Set(listed.map(({ id }) => id))
    assert.equal(ids.size, listed.length, `a snapshot of ${vm.id} is listed twice`)
    const { deleted } = this.#options.ledger
    const lost = before.filter((id) => !ids.has(id) && !deleted.has(id))
    assert.deepEqual(lost, [], `snapshots of ${vm.id} are not listed`)
    return true
  }

  async vms(_vm: AgentVm): Promise<boolean> {
    const listed = (await this.#ask('GET', '/api/v1/vms')) as readonly unknown[]
    assert.equal(listed.length, this.#options.vms.length)
    return true
  }

  /** The answer is compared with the clones themselves, while they are there. */
  async compare(vm: AgentVm): Promise<boolean> {
    const ids = this.#snapshotsOf(vm)
    if (ids.length < 2) return false
    const { random } = this.#options
    const newer = random.between(1, ids.length - 1)
    const base = random.between(0, newer - 1)
    const path = `/api/v1/vms/${vm.id}/snapshots/${ids[newer]}?compareTo=${ids[base]}`
    const answer = (await this.#ask('GET', path, /older/)) as RemoteSnapshot | undefined
    if (answer === undefined) return false
    const disk = random.pick(answer.disks)
    const before = await contentOf(disk.path.replace(ids[newer]!, ids[base]!))
    const after = await contentOf(disk.path)
    if (before === undefined || after === undefined) return false
    const ranges = disk.chunks.map(
      ({ start, length, zero }) => ({ start, length, kind: zero ? 'zero' : 'data' }) as const,
    )
    assert.equal(wrongDifference(before, after, ranges), undefined, `${path}: ${disk.name}`)
    return true
  }

  /** A download that a deletion meets finishes right, or fails clearly. */
  async download(vm: AgentVm): Promise<boolean> {
    const { random, mount, api } = this.#options
    const ids = this.#snapshotsOf(vm)
    if (ids.length === 0) return false
    const id = random.pick(ids)
    const { name, size } = random.pick(vm.disks)
    const start = random.between(0, size - 1)
    const range = `bytes=${start}-${start + PIECE - 1}`
    const file = await contentOf(join(mount, 'CoriolisSnapshots', id, name))
    const url = `/api/v1/vms/${vm.id}/snapshots/${id}/disks/${name}`
    const { statusCode, body } = await api.call('GET', url, { headers: { range } })
    const bytes = Buffer.from(await body.arrayBuffer())
    if (statusCode === 404) {
      this.#gone(url)
      return false
    }
    assert.equal(statusCode, 206, `${url}: ${bytes}`)
    if (file === undefined) return false
    assert.ok(bytes.equals(file.subarray(start, start + PIECE)), `${range} of ${url}`)
    return true
  }

  async delete(vm: AgentVm): Promise<boolean> {
    const ids = this.#snapshotsOf(vm)
    if (ids.length === 0) return false
    const id = this.#options.random.pick(ids)
    this.#options.ledger.deleted.add(id)
    // Whoever deletes it first, it is gone; one who had to give up tries again.
    while ((await this.#ask('DELETE', `/api/v1/vms/${vm.id}/snapshots/${id}`)) === undefined);
    return true
  }

  /** Oldest first, as far as this client can know. */
  #snapshotsOf(vm: AgentVm): readonly string[] {
    const { created, deleted } = this.#options.ledger
    return [...created].filter(([id, vmId]) => vmId === vm.id && !deleted.has(id)).map(([id]) => id)
  }

  /** @returns undefined when the VM is busy, or a snapshot is gone, or the order was another than it seemed */
  async #ask(method: 'GET' | 'POST' | 'DELETE', path: string, fine?: RegExp): Promise<unknown> {
    const { statusCode, body } = await this.#options.api.call(method, path)
    const text = await body.text()
    if (statusCode === 200) return text === '' ? null : JSON.parse(text)
    const { code } = JSON.parse(text) as { readonly code: string }
    if (code === 'VM_BUSY') this.#counts.busy += 1
    else if (code === 'SNAPSHOT_NOT_FOUND') this.#gone(path)
    else if (!fine?.test(text)) assert.fail(`${method} ${path}: ${statusCode} ${text}`)
    return undefined
  }

  #gone(path: string): void {
    this.#counts.gone += 1
    const { deleted } = this.#options.ledger
    assert.ok(
      path.match(SNAPSHOT_IDS)?.some((id) => deleted.has(id)),
      `${path} is gone, and nobody deleted it`,
    )
  }
}

/** Undefined when the file is gone. */
async function contentOf(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
