import assert from 'node:assert/strict'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { systemCode } from 'diskferry/core'
import type { CheckContext } from '../check-context.ts'
import { declaredReason, FeatureRefused } from '../features.ts'
import { compressible, content } from '../guest/content.ts'
import { defragment } from '../guest/defragment.ts'
import { Disk } from '../guest/disk.ts'
import { firstDifference } from '../oracle/regions.ts'
import { DiskModel } from './disk-model.ts'
import type { MovedFile, Step } from './steps.ts'

const BLOCK = 4096
/** A snapshot is compared with so many of those before it. */
const COMPARED = 4

/**
 * Plays a history in a new folder, and compares each snapshot with those before it, in both directions, and with what
 * the disk held in memory.
 * @throws what is wrong, with the number of the step that brought it to light
 */
export async function playHistory(context: CheckContext, steps: readonly Step[]): Promise<void> {
  const folder = context.path('history')
  await mkdir(folder)
  const history = new History(context, await Disk.create(`${folder}/disk.img`))
  try {
    for (const [index, step] of steps.entries()) {
      context.signal.throwIfAborted()
      try {
        await history.play(step)
      } catch (error) {
        if (error instanceof FeatureRefused || context.signal.aborted) throw error
        const said = error instanceof Error ? error.message : String(error)
        throw new Error(`step ${index}, ${JSON.stringify(step)}: ${said}`, { cause: error })
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

class History {
  readonly #context: CheckContext
  readonly #disk: Disk
  readonly #model = new DiskModel()
  readonly #snapshots: { readonly file: Disk; readonly held: Buffer }[] = []

  constructor(context: CheckContext, disk: Disk) {
    this.#context = context
    this.#disk = disk
  }

  async play(step: Step): Promise<void> {
    try {
      await this.#play(step)
    } catch (error) {
      // What the manifest says this filesystem may lack is left out of the history.
      const left = error instanceof FeatureRefused && this.#isDeclared(error)
      if (!left) throw error
    }
  }

  async #play(step: Step): Promise<void> {
    const [disk, model] = [this.#disk, this.#model]
    switch (step.do) {
      case 'write':
        return this.#write(step.start, content(step.start, step.length, step.generation))
      case 'write-compressible':
        return this.#write(step.start, compressible(step.length, step.generation))
      case 'write-zeros':
        return this.#write(step.start, Buffer.alloc(step.length))
      case 'rewrite':
        if (step.start < model.size) await this.#write(step.start, model.read(step.start, step.length))
        return
      case 'punch-hole':
        await disk.fallocate('punch-hole', step.start, step.length)
        return model.zero(step.start, step.length)
      case 'zero-range':
        await disk.fallocate('zero-range', step.start, step.length)
        model.zero(step.start, step.length)
        return this.#growTo(step.start + step.length)
      case 'allocate':
        await disk.fallocate('allocate', step.start, step.length)
        return this.#growTo(step.start + step.length)
      case 'keep-size':
        return disk.fallocate('keep-size', step.start, step.length)
      case 'share':
        return this.#share(step.from, step.start, step.length)
      case 'truncate':
        await disk.truncate(step.size)
        return model.resize(step.size)
      case 'relocate':
        return this.#relocate(step.file, step.start, step.length)
      case 'copy-and-rename':
        return this.#file(step.file)?.replaceByCopy()
      case 'defragment':
        return this.#defragment(step.file)
      case 'sync':
        return disk.sync()
      case 'snapshot':
        return this.#snapshot()
    }
  }

  async #write(start: number, bytes: Buffer): Promise<void> {
    await this.#disk.write(start, bytes)
    this.#model.write(start, bytes)
  }

  #growTo(size: number): void {
    if (size > this.#model.size) this.#model.resize(size)
  }

  async #share(from: number, start: number, wanted: number): Promise<void> {
    const whole = Math.floor(this.#model.size / BLOCK) * BLOCK
    const length = Math.min(wanted, whole - from, whole - start)
    if (length <= 0 || Math.abs(from - start) < length) return
    try {
      await this.#disk.shareWithin(from, start, length)
    } catch (error) {
      // The blocks of this filesystem are larger than those of the history.
      if (systemCode(error) === 'EINVAL') return
      throw error
    }
    this.#model.write(start, this.#model.read(from, length))
  }

  /** Undefined when there is no snapshot yet. */
  #file(moved: MovedFile): Disk | undefined {
    return moved === 'disk' ? this.#disk : this.#snapshots[moved % this.#snapshots.length]?.file
  }

  async #relocate(moved: MovedFile, start: number, wanted: number): Promise<void> {
    const file = this.#file(moved)
    const size = (await file?.size()) ?? 0
    const length = Math.min(wanted, size - start)
    if (length > 0) await file?.relocate(start, length)
  }

  async #defragment(moved: MovedFile): Promise<void> {
    const file = this.#file(moved)
    if (file !== undefined) await defragment(this.#context.suite, file.path)
  }

  async #snapshot(): Promise<void> {
    const context = this.#context
    const number = this.#snapshots.length
    const file = await context.clone(this.#disk, `history/snapshot-${number}`)
    this.#snapshots.push({ file, held: this.#model.snapshot() })
    for (const { file: base, held } of this.#snapshots.slice(-COMPARED - 1)) {
      expectContent(await readFile(base.path), held, base)
      if (base !== file) {
        await context.checkDifference(base, file)
        await context.checkDifference(file, base)
      }
    }
    await context.checkMap(file)
  }

  #isDeclared({ feature }: FeatureRefused): boolean {
    return declaredReason(this.#context.backend.manifest, feature) !== undefined
  }
}

function expectContent(bytes: Buffer, held: Buffer, { path }: Disk): void {
  assert.equal(bytes.length, held.length, `the size of '${path}'`)
  const wrong = firstDifference(bytes, held)
  assert.equal(wrong, undefined, `byte ${wrong} of '${path}' is ${bytes[wrong!]} instead of ${held[wrong!]}`)
}
