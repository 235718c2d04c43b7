/** What `cluster.test.ts` has each host of a cluster do. Sizes are bytes. */

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DiskferryError } from '../../core/errors.ts'
import { pullDisk } from '../support/ancestor-client.ts'
import { ApiClient } from '../support/api-client.ts'
import { makeDisk } from '../support/core.ts'
import { deferred } from '../support/deferred.ts'
import { DiskModel } from '../support/disk-model.ts'
import { flockHolder } from '../support/flock-holder.ts'
import { GuestHelper } from '../support/guest-helper.ts'
import { MarchingGuest, writesIn } from '../support/marching-guest.ts'
import { Random } from '../support/random.ts'
import { RandomGuest } from '../support/random-guest.ts'
import { makeRepositoryLocks } from '../support/repository-locks.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { snapshotFolders } from '../support/snapshot-folders.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import {
  checkClusterVolume,
  joinCluster,
  makeClusterVolume,
  mountClusterVolume,
} from '../vm/inside/cluster-volume.ts'
import { serveCalls } from '../vm/inside/serve-calls.ts'

const MIB = 1024 * 1024
const VM = 'vm-1'
/** Written at random, and in order. */
const RANDOM = 'random.img'
const MARCH = 'march.img'
const PATIENCE_MS = 120_000
const SHORT_MS = 1000
/** What OCFS2 can't, and what does harm on it: backends/ocfs2/README.md */
const WITHOUT = ['zeroRange', 'cloneRange'] as const

const locks = makeRepositoryLocks(PATIENCE_MS)
const { signal } = new AbortController()
const release = deferred()
const copies = await temporaryDirectory('copies')
let mount = ''
let holder: ChildProcess | undefined
let guest: MarchingGuest | undefined
let server: TestServer
let client: ApiClient

/** What the disks of a snapshot hold. */
export interface Seen {
  /** Of the one that is written at random. */
  readonly digest: string
  /** How many of the writes in order had been done. */
  readonly writes: number
}

export type ClusterHostOperations = typeof operations

const operations = {
  join: joinCluster,

  async makeVolume(): Promise<void> {
    await makeClusterVolume()
  },

  async mount(): Promise<void> {
    mount = await mountClusterVolume()
  },

  /** Resolves when it is held, which it is until `unlock`. */
  async lock(): Promise<void> {
    const held = deferred()
    const holding = locks.hold(
      [mount],
      VM,
      async () => {
        held.resolve()
        await release.promise
      },
      signal,
    )
    await Promise.race([held.promise, holding])
  },

  unlock(): void {
    release.resolve()
  },

  /** Takes the lock, however long that takes, and gives it up. */
  lockOnce: () => locks.hold([mount], VM, async () => undefined, signal),

  /** @throws when the lock can be had */
  async refused(): Promise<void> {
    const held = locks.hold([mount], VM, async () => undefined, signal, { patienceMs: SHORT_MS })
    await assert.rejects(held, (error) => error instanceof DiskferryError && error.code === 'VM_BUSY')
  },

  /** The same lock, by another process. */
  async startHolder(): Promise<void> {
    holder = await flockHolder(join(mount, 'CoriolisSnapshots/.locks', VM))
  },

  async killHolder(): Promise<void> {
    const ended = once(holder!, 'exit')
    process.kill(-holder!.pid!, 'SIGKILL')
    await ended
  },

  async makeDisks(): Promise<void> {
    await makeDisk(mount, RANDOM, 8 * MIB)
    await makeDisk(mount, MARCH, 2 * MIB)
  },

  /** With a database of its own. */
  async startServer(): Promise<void> {
    const { path } = await temporaryDirectory('server')
    server = await startServer({
      directory: path,
      extraConfig: inventory(),
      // All of the volume may stand still while the others find out that a host is dead.
      answerWithin: '2m',
      // To start the usual 512 threads takes five seconds of processor time in here.
      env: { UV_THREADPOOL_SIZE: '32' },
    })
    client = new ApiClient(server)
    await client.login()
  },

  /** Goes on with the disk as this host finds it. @returns the digest of what it is to hold after that */
  async writeAtRandom(seed: number, steps: number): Promise<string> {
    const path = join(mount, RANDOM)
    const content = await readFile(path)
    const model = new DiskModel(content.length)
    model.write(0, content)
    await using helper = new GuestHelper()
    const random = new Random(seed)
    await new RandomGuest({ path, model, helper, random, maxBytes: 12 * MIB, without: WITHOUT }).steps(steps)
    return digest(model.snapshot())
  },

  digestOfDisk: async () => digest(await readFile(join(mount, RANDOM))),

  march(): void {
    guest = new MarchingGuest(join(mount, MARCH))
  },

  goOn: () => guest!.goOn(),

  halt: () => guest!.stop(),

  create: async () => (await client.createSnapshot(VM)).id,

  remove: (id: string) => client.deleteSnapshot(VM, id),

  /** What the client of a server has of a snapshot: all of it, or the copy of `base` brought up to it. */
  async pull(id: string, base = ''): Promise<Seen> {
    const snapshot = await client.snapshot(VM, id, base)
    for (const disk of snapshot.disks) {
      const copy = join(copies.path, disk.name)
      if (base === '') await rm(copy, { force: true })
      else assert.equal(disk.diff?.method, 'physical')
      await pullDisk(client, snapshot, disk, copy, 'new')
    }
    return see(copies.path)
  },

  /** What the files of a snapshot hold. */
  look: (id: string): Promise<Seen> => see(join(mount, 'CoriolisSnapshots', id)),

  snapshots: () => snapshotFolders(mount),

  /** Ends the server and the mount. @throws when fsck finds anything wrong with the volume */
  async check(): Promise<void> {
    await client[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    await checkClusterVolume(mount)
  },
}

async function see(folder: string): Promise<Seen> {
  const [random, march] = await Promise.all([RANDOM, MARCH].map((name) => readFile(join(folder, name))))
  return { digest: digest(random!), writes: writesIn(march!) }
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function inventory(): string {
  const disks = [RANDOM, MARCH].map(
    (name, index) => `{ path = ${JSON.stringify(join(mount, name))}, device_name = "xvd${'ab'[index]}" }`,
  )
  return `[[static.repositories]]
id = "r1"
mount_point = ${JSON.stringify(mount)}

[[static.vms]]
name = "${VM}"
uuid = "7b1ea2c4-5b0f-4f6e-9d53-0d7c3a1f2e10"
disks = [${disks.join(', ')}]
`
}

await serveCalls(operations)
