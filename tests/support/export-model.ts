import assert from 'node:assert/strict'
import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentVm } from './agent-repository.ts'
import { type PullAlgorithm, pullDisk } from './ancestor-client.ts'
import type { RemoteDisk, RemoteSnapshot } from './api-client.ts'
import { type BlockMover, blockMover } from './block-moves.ts'
import { differingBlockBytes, wrongDifference } from './difference-oracle.ts'
import { DiskModel, fileDifference } from './disk-model.ts'
import type { GuestHelper } from './guest-helper.ts'
import type { Lab } from './lab.ts'
import { Random } from './random.ts'
import { type GuestOperation, RandomGuest } from './random-guest.ts'

const MIB = 1024 * 1024
const MIN_DISK_BYTES = 4 * MIB
const DEFAULT_MAX_DISK_BYTES = 48 * MIB

/** Where a model is played. */
export interface ModelFilesystem {
  readonly name: string
  /** As mountinfo names it. */
  readonly filesystem: string
}

/**
 * By name: with clusters of 1 MiB, OCFS2 of Linux 6.1 overwrites what lies beside a range that is cloned or deduplicated,
 * in the disk itself. backends/ocfs2/README.md
 */
const SHARING_DOES_HARM: ReadonlySet<string> = new Set(['ocfs2-1m'])

/** By the filesystem that can't. */
const WITHOUT: Readonly<Record<string, readonly GuestOperation[]>> = { ocfs2: ['zeroRange'] }

export interface ExportModelOptions {
  readonly lab: Lab
  readonly kind: ModelFilesystem
  readonly helper: GuestHelper
  readonly seed: number
  /** No disk grows beyond it; 48 MiB when left out. */
  readonly maxDiskBytes?: number
}

export class ExportTotals {
  snapshots = 0
  pulls = 0
  /** Sizes of the disks that were pulled, bytes. */
  diskBytes = 0
  fullBytes = 0
  /** Fetched by incremental pulls of each algorithm, and what differed, in blocks of 4 KiB. */
  readonly incremental: Record<PullAlgorithm, { fetched: number; differing: number }> = {
    ancestor: { fetched: 0, differing: 0 },
    new: { fetched: 0, differing: 0 },
  }
}

interface ModelDisk {
  readonly path: string
  readonly model: DiskModel
  readonly guest: RandomGuest
}

interface PulledSnapshot {
  readonly id: string
  /** What each disk held, by the disk's path. */
  readonly contents: ReadonlyMap<string, Buffer>
}

/**
 * Plays one random history of a VM with two disks against the server: guests write, blocks move, snapshots are
 * taken, pulled whole and incrementally, and deleted.
 * @throws with the seed and every step, when a byte of a pulled disk or of a snapshot differs from the model
 */
export async function playExportModel(options: ExportModelOptions, totals: ExportTotals): Promise<void> {
  const random = new Random(options.seed)
  const maxBytes = options.maxDiskBytes ?? DEFAULT_MAX_DISK_BYTES
  const vm = randomVm(options.seed, random, maxBytes)
  const paths = await options.lab.addVm(vm)
  const disks = vm.disks.map(({ name, size }): ModelDisk => {
    const path = paths.get(name)!
    const model = new DiskModel(size)
    const { helper } = options
    const guest = new RandomGuest({
      path,
      model,
      helper,
      random: random.fork(name),
      maxBytes,
      without: [
        ...(WITHOUT[options.kind.filesystem] ?? []),
        ...(SHARING_DOES_HARM.has(options.kind.name) ? (['cloneRange'] as const) : []),
      ],
    })
    return { path, model, guest }
  })
  const model = new ExportModel(options, random, vm, disks, totals)
  try {
    await model.play()
  } catch (cause) {
    throw new Error(`MODEL_SEEDS=${options.seed} on ${options.kind.name}: ${cause}\n${model.history}`, {
      cause,
    })
  }
  await options.lab.removeVm(vm)
}

function randomVm(seed: number, random: Random, maxBytes: number): AgentVm {
  // Few large ones: what matters happens at every size, and each byte is compared many times.
  const size = () => Math.floor(MIN_DISK_BYTES * (maxBytes / MIN_DISK_BYTES) ** (random.fraction() ** 2))
  return {
    id: seed.toString(16).padStart(32, '0'),
    friendlyName: `seed ${seed}`,
    disks: [
      { name: `system-${seed}.img`, deviceName: 'xvda', size: size() },
      { name: `data ${seed}.img`, deviceName: 'xvdb', size: size() },
    ],
  }
}

class ExportModel {
  readonly #lab: Lab
  readonly #random: Random
  readonly #vm: AgentVm
  readonly #disks: readonly ModelDisk[]
  readonly #mover: BlockMover
  readonly #totals: ExportTotals
  readonly #pulled: PulledSnapshot[] = []
  /** Sizes by path. */
  readonly #snapshotFiles = new Map<string, number>()
  readonly #events: string[] = []

  constructor(
    { lab, kind, helper }: ExportModelOptions,
    random: Random,
    vm: AgentVm,
    disks: readonly ModelDisk[],
    totals: ExportTotals,
  ) {
    this.#lab = lab
    this.#random = random
    this.#vm = vm
    this.#disks = disks
    this.#mover = blockMover(kind.filesystem, lab.mount, helper, random.fork('moves'), {
      relocates: !SHARING_DOES_HARM.has(kind.name),
    })
    this.#totals = totals
  }

  get history(): string {
    const guests = this.#disks.map(({ path, guest }) => `-- ${path}\n${guest.history.join('\n')}`)
    const complaints = this.#lab.server.logs
      .filter(({ level }) => level !== 'info')
      .map((line) => JSON.stringify(line))
    const events = ['-- events', ...this.#events, '-- the server', ...complaints]
    return [...guests, '-- blocks moved', ...this.#mover.history, ...events].join('\n')
  }

  async play(): Promise<void> {
    const rounds = this.#random.between(3, 5)
    for (const { guest } of this.#disks) await guest.install()
    for (let round = 0; round < rounds; round += 1) {
      for (const { guest } of this.#disks) await guest.steps(this.#random.between(0, 25))
      await this.#moveSomething(0.5)
      const snapshot = await this.#lab.client.createSnapshot(this.#vm.id)
      this.#note(`snapshot ${snapshot.id}`)
      this.#totals.snapshots += 1
      const contents = new Map(this.#disks.map(({ path, model }) => [path, model.snapshot()]))
      await this.#moveSomething(0.5)
      for (const disk of snapshot.disks) this.#checkFile(disk, contents.get(disk.parent_path))
      const meanwhile = this.#random.chance(0.4)
        ? [this.#moveSomething(1), this.#disks[0]!.guest.steps(3)]
        : []
      await Promise.all([this.#pullAll(snapshot.id, contents), ...meanwhile])
      if (this.#pulled.length > 2 && this.#random.chance(0.5)) await this.#delete(this.#random.between(0, 1))
    }
    while (this.#pulled.length > 0) await this.#delete(0)
  }

  /** Whole or from the newest older snapshot, and now and then from an even older one as well. */
  async #pullAll(id: string, contents: ReadonlyMap<string, Buffer>): Promise<void> {
    const newest = this.#pulled.at(-1)
    await this.#pull(id, contents, newest)
    const older = this.#random.pick([undefined, ...this.#pulled.slice(0, -1)])
    if (newest !== undefined && (older !== undefined || this.#random.chance(0.2)))
      await this.#pull(id, contents, older)
    this.#pulled.push({ id, contents })
  }

  async #pull(
    id: string,
    contents: ReadonlyMap<string, Buffer>,
    base: PulledSnapshot | undefined,
  ): Promise<void> {
    const squash = this.#random.chance(0.5) ? 'True' : 'False'
    const algorithm = this.#random.chance(0.5) ? 'ancestor' : 'new'
    this.#note(`pull ${id} from ${base?.id ?? 'nothing'}, ${algorithm}, squashChunks=${squash}`)
    const snapshot = await this.#lab.client.snapshot(this.#vm.id, id, base?.id, squash)
    assert.equal(snapshot.disks.length, contents.size, 'every disk of the VM is in the snapshot')
    for (const disk of snapshot.disks) {
      const content = contents.get(disk.parent_path)
      assert.ok(content !== undefined, `${disk.parent_path} is a disk of the VM`)
      await this.#pullOne(snapshot, disk, content, base, algorithm)
    }
  }

  async #pullOne(
    snapshot: RemoteSnapshot,
    disk: RemoteDisk,
    content: Buffer,
    base: PulledSnapshot | undefined,
    algorithm: PullAlgorithm,
  ): Promise<void> {
    const before = base?.contents.get(disk.parent_path) ?? Buffer.alloc(0)
    const ranges = disk.chunks.map(
      ({ start, length, zero }) => ({ start, length, kind: zero ? 'zero' : 'data' }) as const,
    )
    const wrong = wrongDifference(before, content, ranges)
    assert.equal(wrong, undefined, `the chunks of ${disk.path}: ${wrong}`)

    const file = this.#localFile(snapshot.id, disk)
    await rm(file, { force: true })
    if (base !== undefined) await copyFile(this.#localFile(base.id, disk), file)
    const { fetchedBytes } = await pullDisk(this.#lab.client, snapshot, disk, file, algorithm)
    const difference = fileDifference(file, content)
    assert.equal(difference, undefined, `${file}: ${difference}`)
    this.#count(algorithm, content, base === undefined ? undefined : before, fetchedBytes)
  }

  #count(algorithm: PullAlgorithm, content: Buffer, before: Buffer | undefined, fetchedBytes: number): void {
    this.#totals.pulls += 1
    this.#totals.diskBytes += content.length
    if (before === undefined) this.#totals.fullBytes += fetchedBytes
    else {
      this.#totals.incremental[algorithm].fetched += fetchedBytes
      this.#totals.incremental[algorithm].differing += differingBlockBytes(before, content)
    }
  }

  #localFile(snapshotId: string, { name }: RemoteDisk): string {
    return join(this.#lab.local, `${snapshotId}-${name}`)
  }

  async #delete(index: number): Promise<void> {
    const [deleted] = this.#pulled.splice(index, 1)
    this.#note(`delete ${deleted!.id}`)
    await this.#lab.client.deleteSnapshot(this.#vm.id, deleted!.id)
    for (const path of this.#snapshotFiles.keys()) {
      if (path.includes(`/${deleted!.id}/`)) this.#snapshotFiles.delete(path)
    }
  }

  #checkFile({ path, size }: RemoteDisk, content: Buffer | undefined): void {
    assert.ok(path.includes('/CoriolisSnapshots/') && content !== undefined, path)
    const difference = fileDifference(path, content)
    assert.equal(difference, undefined, `${path}: ${difference}`)
    this.#snapshotFiles.set(path, size)
  }

  /** Blocks of a live disk or of a snapshot's file. */
  async #moveSomething(probability: number): Promise<void> {
    if (!this.#random.chance(probability)) return
    const live = this.#disks.map(({ path, model }) => ({ path, size: model.size }))
    const snapshots = [...this.#snapshotFiles].map(([path, size]) => ({ path, size }))
    await this.#mover.move(this.#random.pick([...live, ...snapshots]))
  }

  #note(event: string): void {
    this.#events.push(event)
  }
}
