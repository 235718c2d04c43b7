import assert from 'node:assert/strict'
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DiffMethod, StorageBackend } from 'diskferry/core'
import type { StorageKind } from '../storage/matrix.ts'
import { type BlockMover, blockMover } from './block-moves.ts'
import { differingBlockBytes, type ReportedRange, wrongDifference } from './difference-oracle.ts'
import { DiskModel, fileDifference } from './disk-model.ts'
import type { GuestHelper } from './guest-helper.ts'
import { Random } from './random.ts'
import { RandomGuest } from './random-guest.ts'

const MIB = 1024 * 1024
const ROUNDS = 4

export interface DifferenceModelOptions {
  readonly backend: StorageBackend
  readonly kind: StorageKind
  readonly mount: string
  readonly helper: GuestHelper
  readonly seed: number
}

export class DifferenceTotals {
  readonly pairs: Record<DiffMethod, number> = { physical: 0, content: 0 }
  /** Bytes in 4 KiB blocks that differ. */
  differing = 0
  /** Bytes in ranges reported as `data`. */
  reported = 0
}

interface Snapshot {
  readonly path: string
  readonly content: Buffer
}

/**
 * Plays one random history of a disk, and of the blocks below it, and compares each snapshot with each older one.
 * @throws with the seed and every step, when a difference misses a byte that differs or calls a byte zero that is not
 */
export async function playDifferenceModel(
  options: DifferenceModelOptions,
  totals: DifferenceTotals,
): Promise<void> {
  const folder = join(options.mount, `seed-${options.seed}`)
  await mkdir(folder)
  const model = new DifferenceModel(options, folder)
  try {
    await model.play(totals)
  } catch (cause) {
    const story = `MODEL_SEEDS=${options.seed} on ${options.kind.name}: ${cause}\n${model.history}`
    throw new Error(story, { cause })
  } finally {
    await rm(folder, { recursive: true })
  }
}

class DifferenceModel {
  readonly #backend: StorageBackend
  readonly #random: Random
  readonly #guest: RandomGuest
  readonly #mover: BlockMover
  readonly #model: DiskModel
  readonly #folder: string
  readonly #disk: string
  readonly #snapshots: Snapshot[] = []

  constructor({ backend, kind, helper, seed }: DifferenceModelOptions, folder: string) {
    this.#backend = backend
    this.#folder = folder
    this.#disk = join(folder, 'disk.img')
    this.#random = new Random(seed)
    const size = this.#random.between(MIB, 12 * MIB)
    this.#model = new DiskModel(size)
    const random = this.#random.fork('guest')
    this.#guest = new RandomGuest({
      path: this.#disk,
      model: this.#model,
      helper,
      random,
      maxBytes: 2 * size,
    })
    this.#mover = blockMover(kind.filesystem, folder, helper, this.#random.fork('moves'))
  }

  get history(): string {
    return [...this.#guest.history, '-- blocks moved:', ...this.#mover.history].join('\n')
  }

  async play(totals: DifferenceTotals): Promise<void> {
    await writeFile(this.#disk, '')
    await truncate(this.#disk, this.#model.size)
    for (let round = 0; round < ROUNDS; round += 1) {
      await this.#guest.steps(this.#random.between(5, 30))
      if (this.#random.chance(0.3)) await this.#mover.move({ path: this.#disk, size: this.#model.size })
      const target = await this.#takeSnapshot()
      if (this.#random.chance(0.6)) await this.#moveSnapshot()
      for (const base of this.#snapshots.slice(0, -1)) await this.#compare(base, target, totals)
      await this.#checkMap(target)
    }
    await this.#compare(this.#snapshots.at(-1)!, this.#snapshots[0]!, totals)
  }

  async #takeSnapshot(): Promise<Snapshot> {
    const path = join(this.#folder, `snapshot-${this.#snapshots.length}`)
    await this.#backend.clone(this.#disk, path)
    this.#guest.history.push(`-- ${path}`)
    const snapshot = { path, content: this.#model.snapshot() }
    this.#snapshots.push(snapshot)
    return snapshot
  }

  async #moveSnapshot(): Promise<void> {
    const { path, content } = this.#random.pick(this.#snapshots)
    await this.#mover.move({ path, size: content.length })
  }

  /** Now and then blocks move, and the guest writes, while the difference is computed. */
  async #compare(base: Snapshot, target: Snapshot, totals: DifferenceTotals): Promise<void> {
    const meanwhile = this.#random.chance(0.3) ? [this.#moveSnapshot(), this.#guest.steps(3)] : []
    const [{ method, ranges }] = await Promise.all([this.#difference(base, target), ...meanwhile])
    const wrong = wrongDifference(base.content, target.content, ranges)
    assert.equal(wrong, undefined, `${target.path} compared to ${base.path} by ${method}: ${wrong}`)
    totals.pairs[method] += 1
    totals.differing += differingBlockBytes(base.content, target.content)
    for (const range of ranges) totals.reported += range.kind === 'data' ? range.length : 0
  }

  async #difference(base: Snapshot, target: Snapshot) {
    const { method, ranges } = await this.#backend.diff(base.path, target.path, {})
    const found: ReportedRange[] = []
    for await (const batch of ranges) found.push(...batch)
    return { method, ranges: found }
  }

  /** The snapshot holds what the disk held, and its extents tell where. */
  async #checkMap({ path, content }: Snapshot): Promise<void> {
    const wrong = fileDifference(path, content)
    assert.equal(wrong, undefined, `${path} itself: ${wrong}`)
    const written: ReportedRange[] = []
    for await (const batch of this.#backend.extentMap(path)) {
      for (const { start, length, unwritten } of batch)
        if (!unwritten) written.push({ start, length, kind: 'data' })
    }
    const missed = wrongDifference(Buffer.alloc(0), content, written)
    assert.equal(missed, undefined, `the extents of ${path}: ${missed}`)
  }
}
