/**
 * The promise that everything else serves, without the server: for random histories of a disk and of the blocks
 * below it, a backend's difference of two snapshots tells every byte that differs.
 */

import assert from 'node:assert/strict'
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BackendFactory, StorageBackend } from 'diskferry/core'
import { CheckedBackend } from '../../core/backends/checked-backend.ts'
import { type BlockMover, blockMover } from '../support/block-moves.ts'
import { differingBlockBytes, type ReportedRange, wrongDifference } from '../support/difference-oracle.ts'
import { DiskModel, firstDifference } from '../support/disk-model.ts'
import { GuestHelper } from '../support/guest-helper.ts'
import { Random, seedsFrom } from '../support/random.ts'
import { RandomGuest } from '../support/random-guest.ts'
import { storageTest } from '../support/storage-test.ts'
import { REFLINK_STORAGE, type StorageKind } from './matrix.ts'

const MIB = 1024 * 1024
const { MODEL_SEEDS } = process.env
const SEEDS = seedsFrom(MODEL_SEEDS, '1-20')

interface Snapshot {
  readonly path: string
  readonly content: Buffer
}

interface Totals {
  pairs: number
  differing: number
  reported: number
}

class DifferenceModel {
  readonly #backend: StorageBackend
  readonly #random: Random
  readonly #guest: RandomGuest
  readonly #mover: BlockMover
  readonly #model: DiskModel
  readonly #folder: string
  readonly #snapshots: Snapshot[] = []

  constructor(backend: StorageBackend, kind: StorageKind, folder: string, helper: GuestHelper, seed: number) {
    this.#backend = backend
    this.#folder = folder
    this.#random = new Random(seed)
    const size = this.#random.between(MIB, 12 * MIB)
    this.#model = new DiskModel(size)
    const random = this.#random.fork('guest')
    const path = this.#disk
    this.#guest = new RandomGuest({ path, model: this.#model, helper, random, maxBytes: 2 * size })
    this.#mover = blockMover(kind, folder, helper, this.#random.fork('moves'))
  }

  get #disk(): string {
    return join(this.#folder, 'disk.img')
  }

  get history(): string {
    return [...this.#guest.history, '-- blocks moved:', ...this.#mover.history].join('\n')
  }

  async run(totals: Totals): Promise<void> {
    await writeFile(this.#disk, '')
    await truncate(this.#disk, this.#model.size)
    for (let round = 0; round < 4; round += 1) {
      await this.#guest.steps(this.#random.between(5, 30))
      if (this.#random.chance(0.3)) await this.#mover.move({ path: this.#disk, size: this.#model.size })
      await this.#takeSnapshot()
      await this.#moveSnapshot()
      for (const base of this.#snapshots.slice(0, -1))
        await this.#compare(base, this.#snapshots.at(-1)!, totals)
    }
    await this.#compare(this.#snapshots.at(-1)!, this.#snapshots[0]!, totals)
  }

  async #takeSnapshot(): Promise<void> {
    const path = join(this.#folder, `snapshot-${this.#snapshots.length}`)
    await this.#backend.clone(this.#disk, path)
    this.#guest.history.push(`-- ${path}`)
    this.#snapshots.push({ path, content: this.#model.snapshot() })
  }

  async #moveSnapshot(): Promise<void> {
    const { path, content } = this.#random.pick(this.#snapshots)
    if (this.#random.chance(0.6)) await this.#mover.move({ path, size: content.length })
  }

  /** Now and then blocks move, and the guest writes, while the difference is computed. */
  async #compare(base: Snapshot, target: Snapshot, totals: Totals): Promise<void> {
    const meanwhile = this.#random.chance(0.3) ? [this.#moveSnapshot(), this.#guest.steps(3)] : []
    const [ranges] = await Promise.all([this.#ranges(base, target), ...meanwhile])
    const pair = `${target.path} compared to ${base.path}`
    assert.equal(wrongDifference(base.content, target.content, ranges), undefined, pair)
    const onDisk = await readFile(target.path)
    assert.equal(firstDifference(onDisk, target.content), undefined, `${target.path} itself`)
    const map = await this.#writtenExtents(target.path)
    assert.equal(
      wrongDifference(Buffer.alloc(0), target.content, map),
      undefined,
      `extents of ${target.path}`,
    )
    totals.pairs += 1
    totals.differing += differingBlockBytes(base.content, target.content)
    for (const range of ranges) totals.reported += range.kind === 'data' ? range.length : 0
  }

  async #ranges(base: Snapshot, target: Snapshot): Promise<readonly ReportedRange[]> {
    const { ranges } = await this.#backend.diff(base.path, target.path, {})
    const found: ReportedRange[] = []
    for await (const batch of ranges) found.push(...batch)
    return found
  }

  async #writtenExtents(path: string): Promise<readonly ReportedRange[]> {
    const found: ReportedRange[] = []
    for await (const batch of this.#backend.extentMap(path)) {
      for (const { start, length, unwritten } of batch)
        if (!unwritten) found.push({ start, length, kind: 'data' })
    }
    return found
  }
}

for (const kind of REFLINK_STORAGE) {
  storageTest(
    kind,
    `a difference tells every changed byte, over ${SEEDS.length} seeds`,
    async ({ mount, t }) => {
      const backend = await loadBackend(kind)
      await using helper = new GuestHelper()
      const totals: Totals = { pairs: 0, differing: 0, reported: 0 }
      for (const seed of SEEDS) {
        const folder = join(mount, `seed-${seed}`)
        await mkdir(folder)
        const model = new DifferenceModel(backend, kind, folder, helper, seed)
        try {
          await model.run(totals)
        } catch (cause) {
          throw new Error(`MODEL_SEEDS=${seed} on ${kind.name} went wrong:\n${cause}\n${model.history}`, {
            cause,
          })
        }
        await rm(folder, { recursive: true })
      }
      const { pairs, differing, reported } = totals
      const ratio = (reported / differing).toFixed(2)
      t.diagnostic(
        `${pairs} pairs, ${differing} bytes in differing 4 KiB blocks, ${reported} reported as data: ${ratio} times`,
      )
    },
    { timeoutMs: SEEDS.length * 10_000 + 60_000 },
  )
}

async function loadBackend(kind: StorageKind): Promise<StorageBackend> {
  const module: { readonly default: BackendFactory } = await import(
    `../../backends/${kind.filesystem}/index.ts`
  )
  return new CheckedBackend(module.default({}))
}
