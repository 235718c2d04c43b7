import { copyFile, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type AgentVm,
  EXAMPLE_REPOSITORY_ID,
  EXAMPLE_VM_ID,
  layAgentDatabase,
  layRepository,
} from '../support/agent-repository.ts'
import { pullDisk } from '../support/ancestor-client.ts'
import { ApiClient, type RemoteSnapshot } from '../support/api-client.ts'
import { blockMover } from '../support/block-moves.ts'
import { DiskModel } from '../support/disk-model.ts'
import { GuestHelper } from '../support/guest-helper.ts'
import { MemoryWatch } from '../support/memory-watch.ts'
import type { Random } from '../support/random.ts'
import { RandomGuest } from '../support/random-guest.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { snapshotFolders } from '../support/snapshot-folders.ts'
import { isBrokenConnection } from './broken-connection.ts'
import { wrongBytes } from './wrong-bytes.ts'

const MIB = 1024 * 1024
const KEPT_SNAPSHOTS = 5
const DISK_BYTES = 32 * MIB
const MOST_DISK_BYTES = 64 * MIB
const DEFAULT_KILL_CHANCE = 0.3
/** A cycle takes about so long: a kill comes somewhere in it. */
const DEFAULT_MOST_BEFORE_KILL_MS = 1500

export interface SoakOptions {
  readonly mountPoint: string
  readonly filesystem: string
  /** For the server's files, and for what the client keeps. */
  readonly directory: string
  readonly random: Random
  readonly signal: AbortSignal
  /** Of each cycle, 0 to 1. */
  readonly killChance?: number
  /** The kill comes at a random moment up to here. */
  readonly mostBeforeKillMs?: number
  /** For the server: whole tables. */
  readonly extraConfig?: string
}

export interface SoakReport {
  cycles: number
  snapshots: number
  restores: number
  /** Compared with the clones, bytes. */
  comparedBytes: number
  fetchedBytes: number
  /** The server was killed so often, and went on. */
  kills: number
  wrongBytes: number
  /** Most resident memory of any of the servers, bytes. */
  peakMemoryBytes: number
}

interface Restored {
  readonly id: string
  /** By the disk's name. */
  readonly files: ReadonlyMap<string, string>
}

const VM: AgentVm = {
  id: EXAMPLE_VM_ID,
  friendlyName: 'soaked',
  disks: [
    { name: 'system.img', deviceName: 'xvda', size: DISK_BYTES },
    { name: 'data.img', deviceName: 'xvdb', size: DISK_BYTES },
  ],
}

/**
 * A VM whose guests never rest, exported over and over into one chain of incrementals, by a server that is killed now
 * and then in the middle of whatever it is doing.
 */
export class Soak implements AsyncDisposable {
  readonly report: SoakReport = {
    cycles: 0,
    snapshots: 0,
    restores: 0,
    comparedBytes: 0,
    fetchedBytes: 0,
    kills: 0,
    wrongBytes: 0,
    peakMemoryBytes: 0,
  }
  readonly #options: SoakOptions
  readonly #helper = new GuestHelper()
  readonly #guests: readonly RandomGuest[]
  #server!: TestServer
  #client!: ApiClient
  #last: Restored | undefined
  #known: string[] = []

  static async begin(options: SoakOptions): Promise<Soak> {
    const soak = new Soak(options, await layRepository(options.mountPoint, [VM]))
    const repository = { id: EXAMPLE_REPOSITORY_ID, alias: 'soak', mountPoint: options.mountPoint }
    await layAgentDatabase(join(options.directory, 'agent-db'), [repository])
    await soak.#start()
    return soak
  }

  private constructor(options: SoakOptions, paths: ReadonlyMap<string, string>) {
    this.#options = options
    this.#guests = VM.disks.map(
      ({ name, size }) =>
        new RandomGuest({
          path: paths.get(name)!,
          model: new DiskModel(size),
          helper: this.#helper,
          random: options.random.fork(name),
          maxBytes: MOST_DISK_BYTES,
        }),
    )
  }

  /**
   * One snapshot and what follows from it, while the guests go on and the server may be killed.
   *
   * @throws at a wrong byte, and for whatever else goes wrong that a kill does not explain
   */
  async cycle(): Promise<void> {
    const { random, signal } = this.#options
    const { killChance = DEFAULT_KILL_CHANCE, mostBeforeKillMs = DEFAULT_MOST_BEFORE_KILL_MS } = this.#options
    signal.throwIfAborted()
    this.report.cycles += 1
    const resting = new AbortController()
    const guests = this.#guests.map((guest) => keepBusy(guest, resting.signal))
    const work = this.#export().then(
      () => undefined,
      (error: unknown) => error,
    )
    try {
      if (random.chance(killChance)) {
        const beforeKill = delay(random.between(0, mostBeforeKillMs), undefined, { ref: false })
        const early = await Promise.race([work, beforeKill])
        if (early !== undefined) throw early
        await this.#kill()
        const late = await work
        if (late !== undefined && !isBrokenConnection(late)) throw late
        await this.#start()
        await this.#findOut()
      } else {
        const error = await work
        if (error !== undefined) throw error
      }
      await this.#moveBlocks()
    } finally {
      resting.abort()
      await Promise.all(guests)
    }
    this.#remember()
  }

  /** Deletes everything, and looks for what is left. @throws when anything is */
  async end(): Promise<void> {
    await this.#client.json('DELETE', `/api/v1/vms/${VM.id}/snapshots`)
    const left = await snapshotFolders(this.#options.mountPoint)
    if (left.length > 0) throw new Error(`left over after the end: ${left.join(', ')}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Not close(), which fails for one that was closed with a killed server.
    await this.#client?.destroy()
    await this.#server?.[Symbol.asyncDispose]()
    await this.#helper[Symbol.asyncDispose]()
  }

  async #export(): Promise<void> {
    const { id } = await this.#client.createSnapshot(VM.id)
    this.report.snapshots += 1
    this.#known.push(id)
    await this.#restore(id)
    while (this.#known.length > KEPT_SNAPSHOTS) {
      await this.#client.deleteSnapshot(VM.id, this.#known[0]!)
      this.#known.shift()
    }
  }

  /** From the last one that was restored, when it is still there. */
  async #restore(id: string): Promise<void> {
    const { directory, mountPoint } = this.#options
    const base = this.#last
    const snapshot = await this.#client.snapshot(VM.id, id, base?.id, 'True')
    const files = new Map<string, string>()
    for (const disk of snapshot.disks) {
      const file = join(directory, `${disk.name}-${id}`)
      const before = base?.files.get(disk.name)
      await rm(file, { force: true })
      if (before !== undefined) await copyFile(before, file)
      const { fetchedBytes } = await pullDisk(this.#client, snapshot, disk, file, 'new')
      this.report.fetchedBytes += fetchedBytes
      await this.#compare(file, join(mountPoint, 'CoriolisSnapshots', id, disk.name), snapshot, base)
      files.set(disk.name, file)
    }
    this.report.restores += 1
    this.#last = { id, files }
    for (const file of base?.files.values() ?? []) await rm(file)
  }

  async #compare(
    file: string,
    clone: string,
    snapshot: RemoteSnapshot,
    base: Restored | undefined,
  ): Promise<void> {
    const wrong = await wrongBytes(file, clone)
    this.report.comparedBytes += (await stat(clone)).size
    this.report.wrongBytes += wrong
    if (wrong === 0) return
    const chunks = JSON.stringify(snapshot.disks.map(({ name, diff }) => ({ name, diff })))
    throw new Error(
      `${wrong} bytes of '${file}', pulled from ${base?.id ?? 'nothing'}, differ from '${clone}': ${chunks}`,
    )
  }

  async #moveBlocks(): Promise<void> {
    const { random, mountPoint, filesystem } = this.#options
    const [id] = this.#known.slice(-1)
    if (id === undefined || !random.chance(0.5)) return
    const path = join(mountPoint, 'CoriolisSnapshots', id, random.pick(VM.disks).name)
    const mover = blockMover(filesystem, mountPoint, this.#helper, random)
    await mover.move({ path, size: (await stat(path)).size })
  }

  async #start(): Promise<void> {
    const { directory, extraConfig } = this.#options
    this.#server = await startServer({
      directory: join(directory, 'server'),
      agentDbDir: join(directory, 'agent-db'),
      ...(extraConfig !== undefined && { extraConfig }),
    })
    this.#client = new ApiClient(this.#server)
    await this.#client.login()
  }

  async #kill(): Promise<void> {
    this.#remember()
    await this.#server.kill()
    this.report.kills += 1
    await this.#client[Symbol.asyncDispose]()
  }

  /** What the killed server left: whole or gone, and whatever was told to be there is there. @throws when not */
  async #findOut(): Promise<void> {
    const path = `/api/v1/vms/${VM.id}/snapshots`
    const listed = ((await this.#client.json('GET', path)) as readonly { readonly id: string }[]).map(
      ({ id }) => id,
    )
    // The oldest may have been on its way out, and a new one on its way in.
    const lost = this.#known
      .slice(Math.max(0, this.#known.length - KEPT_SNAPSHOTS))
      .filter((id) => !listed.includes(id))
    if (lost.length > 0) throw new Error(`after a kill, snapshots are lost: ${lost.join(', ')}`)
    const folders = await snapshotFolders(this.#options.mountPoint)
    const strays = folders.filter((name) => !listed.includes(name))
    if (strays.length > 0) throw new Error(`after a kill, files are left over: ${strays.join(', ')}`)
    this.#known = listed
    if (this.#last !== undefined && !listed.includes(this.#last.id)) {
      for (const file of this.#last.files.values()) await rm(file, { force: true })
      this.#last = undefined
    }
    await this.#removeHalfPulled()
  }

  async #removeHalfPulled(): Promise<void> {
    const kept = new Set(this.#last?.files.values())
    for (const name of await readdir(this.#options.directory)) {
      const file = join(this.#options.directory, name)
      if (name.includes('.img-') && !kept.has(file)) await rm(file)
    }
  }

  #remember(): void {
    const peak = new MemoryWatch(this.#server.pid).peak()
    this.report.peakMemoryBytes = Math.max(this.report.peakMemoryBytes, peak)
  }
}

async function keepBusy(guest: RandomGuest, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await guest.step()
    await delay(1)
  }
}
