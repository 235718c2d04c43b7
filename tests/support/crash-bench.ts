import assert from 'node:assert/strict'
import { open, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { FAULT_POINT_VARIABLE } from '../../core/fault-points.ts'
import { SnapshotStore } from '../../core/snapshots/snapshot-store.ts'
import { openDatabase, VMS_NAMESPACE } from '../../core/store/database.ts'
import { ApiClient, type RemoteSnapshot } from './api-client.ts'
import { wrongDifference } from './difference-oracle.ts'
import { firstDifference } from './disk-model.ts'
import { Random } from './random.ts'
import { databaseFile, startServer, type TestServer } from './server.ts'
import { SNAPSHOTS, snapshotFiles } from './snapshot-folders.ts'

const DISK_BYTES = 512 * 1024
const BLOCK = 4096

/** Its two disks lie in two repositories. */
export const ACROSS = 'vm-across'
/** A bystander. */
export const BESIDE = 'vm-beside'
/** Its second disk is what the backend of tests/fixtures refuses. */
export const REFUSED = 'vm-refused'

type Disks = ReadonlyMap<string, Buffer>

export interface DeadlyRequest {
  readonly method: 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly body?: string
}

/** Two repositories, three VMs, and what each snapshot must hold, kept in memory. */
export class CrashBench {
  /** By VM, then by snapshot, oldest first: each disk's bytes. */
  readonly expected = new Map<string, Map<string, Disks>>()
  /** Holders of leases, by snapshot: each of its folders has the lease's file. */
  readonly leased = new Map<string, string>()
  /** Older snapshots by newer ones: each folder of the newer one has the mark that their difference is wrong. */
  readonly distrusted = new Map<string, string>()
  /** Tables of the configuration beside those of the repositories and the VMs. */
  extraConfig = ''
  /** More for the environment of its servers. */
  env: Readonly<Record<string, string>> = {}
  readonly directory: string
  readonly #mounts: readonly string[]
  readonly #vms: ReadonlyMap<string, readonly string[]>
  readonly #contents = new Map<string, Buffer>()
  readonly #random = new Random(7)

  private constructor(directory: string, mounts: readonly [string, string]) {
    const [first, second] = mounts
    this.directory = directory
    this.#mounts = mounts
    this.#vms = new Map([
      [ACROSS, [join(first, 'system.img'), join(second, 'data.img')]],
      [BESIDE, [join(first, 'beside.img')]],
      [REFUSED, [join(first, 'fine.img'), join(second, 'refused.img')]],
    ])
  }

  static async open(directory: string, mounts: readonly [string, string]): Promise<CrashBench> {
    const bench = new CrashBench(directory, mounts)
    for (const path of [...bench.#vms.values()].flat()) {
      await using handle = await open(path, 'w')
      await handle.truncate(DISK_BYTES)
      bench.#contents.set(path, Buffer.alloc(DISK_BYTES))
    }
    await bench.guestsWrite()
    return bench
  }

  get databaseFile(): string {
    return databaseFile(this.directory)
  }

  /** @param fault where its start kills itself, `<point>:<n>` for the n-th time */
  start(fault?: string): Promise<TestServer> {
    return startServer({
      directory: this.directory,
      extraConfig: this.#configuration(),
      env: { ...this.env, ...(fault !== undefined && { [FAULT_POINT_VARIABLE]: fault }) },
    })
  }

  /** Runs `work` on a server that is stopped afterwards. */
  async onServer<Result>(work: (client: ApiClient, server: TestServer) => Promise<Result>): Promise<Result> {
    await using server = await this.start()
    await using client = new ApiClient(server)
    await client.login()
    return await work(client, server)
  }

  /** A server that dies at the fault point before it listens. */
  async dieAtStart(fault: string): Promise<void> {
    const end = await this.start(fault).then(async (server) => {
      await server.kill()
      return 'it got ready'
    }, String)
    assert.match(end, /it ended with SIGKILL/, `the start passes ${fault}`)
  }

  /**
   * A server that dies at the fault point.
   * @param prepare is done before, without the fault; then the server dies of the request that this gives
   */
  dieAt(fault: string, prepare: (client: ApiClient) => Promise<DeadlyRequest>): Promise<void> {
    return this.onServer(async (client, server) => {
      const { method, path, body } = await prepare(client)
      await server.arm(fault)
      await assert.rejects(
        client.call(method, path, { ...(body !== undefined && { body }) }),
        `${method} ${path} passes ${fault}`,
      )
      assert.equal(await server.ended, 'SIGKILL')
    })
  }

  async guestsWrite(): Promise<void> {
    for (const [path, content] of this.#contents) {
      await using handle = await open(path, 'r+')
      for (let count = 0; count < 4; count++) {
        const start = this.#random.between(0, DISK_BYTES / BLOCK - 8) * BLOCK
        const bytes = this.#random.bytes(this.#random.between(1, 8 * BLOCK))
        await handle.write(bytes, 0, bytes.length, start)
        bytes.copy(content, start)
      }
    }
  }

  async snapshot(client: ApiClient, vm: string): Promise<string> {
    await this.guestsWrite()
    const disks = this.disksNow(vm)
    const { id } = await client.createSnapshot(vm)
    this.expect(vm, id, disks)
    return id
  }

  expect(vm: string, id: string, disks: Disks): void {
    const known = this.expected.get(vm) ?? new Map<string, Disks>()
    this.expected.set(vm, known.set(id, disks))
  }

  disksNow(vm: string): Disks {
    const paths = this.#vms.get(vm)!
    return new Map(paths.map((path) => [basename(path), Buffer.from(this.#contents.get(path)!)]))
  }

  idsOf(vm: string): readonly string[] {
    return [...(this.expected.get(vm)?.keys() ?? [])]
  }

  forget(vm: string, id: string): void {
    this.expected.get(vm)!.delete(id)
  }

  async listed(client: ApiClient, vm: string): Promise<readonly string[]> {
    const list = (await client.json('GET', `/api/v1/vms/${vm}/snapshots`)) as readonly RemoteSnapshot[]
    return list.map(({ id }) => id)
  }

  /** Who holds a lease of a snapshot; its end must be a time that is yet to come. */
  async holderOf(client: ApiClient, vm: string, id: string): Promise<string | undefined> {
    const path = `/api/v1/vms/${vm}/snapshots/${id}/lease`
    const { statusCode, body } = await client.call('GET', path)
    const text = await body.text()
    if (statusCode === 404) {
      assert.match(text, /LEASE_NOT_FOUND/)
      return undefined
    }
    assert.equal(statusCode, 200, text)
    const { holder, expires_at } = JSON.parse(text) as Readonly<Record<'holder' | 'expires_at', string>>
    assert.ok(Date.parse(expires_at) > Date.now(), text)
    return holder
  }

  /** Every snapshot is there, whole, and compares right; and nothing else is there. */
  async verify(client: ApiClient): Promise<void> {
    for (const vm of this.#vms.keys()) {
      assert.deepEqual(await this.listed(client, vm), this.idsOf(vm), `the snapshots of ${vm}`)
      let older: { readonly id: string; readonly disks: Disks } | undefined
      for (const [id, disks] of this.expected.get(vm) ?? []) {
        await this.#verifyBytes(client, vm, id, disks)
        if (older !== undefined) await this.#verifyDifference(client, vm, older, { id, disks })
        older = { id, disks }
      }
    }
    await this.verifyNothingElse()
  }

  /** All that lies in the folders for snapshots, but for the locks. */
  async files(): Promise<readonly string[]> {
    return (await Promise.all(this.#mounts.map(snapshotFiles))).flat().sort()
  }

  /** No file, no folder and no record but those of the expected snapshots. */
  async verifyNothingElse(): Promise<void> {
    const wanted = new Set<string>()
    for (const [vm, snapshots] of this.expected) {
      for (const id of snapshots.keys()) {
        for (const path of this.#vms.get(vm)!) {
          const folder = join(dirname(path), SNAPSHOTS, id)
          wanted
            .add(folder)
            .add(join(folder, basename(path)))
            .add(join(folder, 'snapshot.json'))
          if (this.leased.has(id)) wanted.add(join(folder, 'snapshot.lease.json'))
          const older = this.distrusted.get(id)
          if (older !== undefined) wanted.add(join(folder, `snapshot.distrusted.${older}.json`))
        }
      }
    }
    assert.deepEqual(await this.files(), [...wanted].sort())
    assert.deepEqual(
      await this.#records(),
      [...this.expected.values()].flatMap((ids) => [...ids.keys()]).sort(),
    )
  }

  async #verifyBytes(client: ApiClient, vm: string, id: string, disks: Disks): Promise<void> {
    const { disks: remote } = await client.snapshot(vm, id)
    assert.deepEqual(remote.map(({ name }) => name).sort(), [...disks.keys()].sort())
    for (const { name, path, chunks } of remote) {
      const content = disks.get(name)!
      const ranges = chunks.map(({ start, length }) => ({ start, length, kind: 'data' }) as const)
      assert.equal(wrongDifference(Buffer.alloc(0), content, ranges), undefined, `the map of ${path}`)
      assert.equal(firstDifference(await readFile(path), content), undefined, path)
      const { body } = await client.call('GET', `/api/v1/vms/${vm}/snapshots/${id}/disks/${name}`)
      assert.equal(
        firstDifference(Buffer.from(await body.arrayBuffer()), content),
        undefined,
        `GET of ${path}`,
      )
    }
  }

  async #verifyDifference(
    client: ApiClient,
    vm: string,
    older: { readonly id: string; readonly disks: Disks },
    newer: { readonly id: string; readonly disks: Disks },
  ): Promise<void> {
    const { disks } = await client.snapshot(vm, newer.id, older.id)
    for (const { name, path, chunks } of disks) {
      const ranges = chunks.map(
        ({ start, length, zero }) => ({ start, length, kind: zero ? 'zero' : 'data' }) as const,
      )
      const wrong = wrongDifference(older.disks.get(name)!, newer.disks.get(name)!, ranges)
      assert.equal(wrong, undefined, `the difference of ${path}`)
    }
  }

  async #records(): Promise<readonly string[]> {
    const database = await openDatabase(this.databaseFile, () => undefined)
    try {
      const store = new SnapshotStore(database.keyv(VMS_NAMESPACE))
      const ids: string[] = []
      for (const vmId of await store.vmIds()) {
        for (const { id, state } of (await store.read(vmId)).snapshots) {
          ids.push(state === 'ready' ? id : `${id} ${state}`)
        }
      }
      return ids.sort()
    } finally {
      await database.close()
    }
  }

  #configuration(): string {
    const text = JSON.stringify
    const repositories = this.#mounts.map(
      (mount, index) => `[[static.repositories]]\nid = "repository-${index}"\nmount_point = ${text(mount)}\n`,
    )
    const vms = [...this.#vms].map(([name, paths], index) => {
      const disks = paths.map((path, place) => `{ path = ${text(path)}, device_name = "xvd${'ab'[place]}" }`)
      const uuid = `0004fb00-0006-0000-0000-00000000000${index}`
      return `[[static.vms]]\nname = ${text(name)}\nuuid = ${text(uuid)}\ndisks = [${disks.join(', ')}]\n`
    })
    return [this.extraConfig, ...repositories, ...vms].join('\n')
  }
}
