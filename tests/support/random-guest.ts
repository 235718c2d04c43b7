import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { DiskModel } from './disk-model.ts'
import type { GuestHelper } from './guest-helper.ts'
import type { Random } from './random.ts'

const BLOCK = 4096
const MIB = 1024 * 1024
const MIN_DISK_BYTES = 64 * 1024

export interface RandomGuestOptions {
  readonly path: string
  /** Changed together with the file; its size is the file's size at the start. */
  readonly model: DiskModel
  readonly helper: GuestHelper
  readonly random: Random
  /** The disk is never grown beyond it. */
  readonly maxBytes: number
  /** What the filesystem can't do. */
  readonly without?: readonly GuestOperation[]
}

export type GuestOperation = keyof typeof WEIGHTS

const WEIGHTS = {
  write: 10,
  alignedWrite: 8,
  directWrite: 4,
  mappedWrite: 3,
  rewriteSame: 3,
  writeZeros: 3,
  punch: 6,
  preallocate: 3,
  zeroRange: 3,
  cloneRange: 2,
  resize: 1,
  sync: 2,
} as const

/**
 * Does to a disk what a guest, its hypervisor and its administrator do, at random and in ways that filesystems
 * treat differently: the content of the file and of the model stay the same.
 */
export class RandomGuest {
  /** What was done, one line each, in order. */
  readonly history: string[] = []
  readonly #options: RandomGuestOptions
  /** Where something happened: later steps come back to it, as guests do. */
  readonly #hotSpots: number[] = []

  constructor(options: RandomGuestOptions) {
    this.#options = options
  }

  async step(): Promise<void> {
    const { random, without = [] } = this.#options
    const operation = random.weighted(WEIGHTS)
    if (!without.includes(operation)) await this[operation]()
  }

  async steps(count: number): Promise<void> {
    for (let done = 0; done < count; done += 1) await this.step()
  }

  /** Fills the beginning of an empty disk, as installing a system does. */
  async install(): Promise<void> {
    const { model, random } = this.#options
    const end = Math.floor(model.size * random.fraction() * 0.5)
    for (let start = 0; start < end; start += MIB) {
      await this.#buffered('install', start, this.#content(Math.min(MIB, end - start)))
    }
  }

  async write(): Promise<void> {
    const { start, length } = this.#range(1, MIB)
    await this.#buffered('write', start, this.#content(length))
  }

  async alignedWrite(): Promise<void> {
    const { start, length } = this.#aligned(MIB)
    await this.#buffered('aligned write', start, this.#content(length))
  }

  async directWrite(): Promise<void> {
    const { start, length } = this.#aligned(MIB)
    await this.#helped('direct', start, this.#content(length))
  }

  async mappedWrite(): Promise<void> {
    const { start, length } = this.#range(1, MIB)
    await this.#helped('mapped', start, this.#content(length))
  }

  async rewriteSame(): Promise<void> {
    const { start, length } = this.#range(1, MIB)
    await this.#buffered('rewrite same', start, this.#options.model.read(start, length))
  }

  async writeZeros(): Promise<void> {
    const { start, length } = this.#range(1, MIB)
    await this.#buffered('write zeros', start, Buffer.alloc(length))
  }

  async punch(): Promise<void> {
    const { path, model, helper, random } = this.#options
    const { start, length } = random.chance(0.5) ? this.#aligned(8 * MIB) : this.#range(1, 8 * MIB)
    this.#log('punch', start, length)
    await helper.do({ op: 'punch', path, start, length })
    model.zero(start, length)
  }

  async preallocate(): Promise<void> {
    const { path, model, helper, random, maxBytes } = this.#options
    const keepSize = random.chance(0.6)
    const { start, length } = this.#rangeBeyondEnd()
    if (!keepSize && start + length > maxBytes) return
    this.#log(keepSize ? 'preallocate, same size' : 'preallocate', start, length)
    await helper.do({ op: 'preallocate', path, start, length, keepSize })
    if (!keepSize && start + length > model.size) model.resize(start + length)
  }

  async zeroRange(): Promise<void> {
    const { path, model, helper, random, maxBytes } = this.#options
    const keepSize = random.chance(0.6)
    const { start, length } = this.#rangeBeyondEnd()
    if (!keepSize && start + length > maxBytes) return
    this.#log(keepSize ? 'zero range, same size' : 'zero range', start, length)
    await helper.do({ op: 'zeroRange', path, start, length, keepSize })
    if (!keepSize && start + length > model.size) model.resize(start + length)
    model.zero(start, length)
  }

  /** The same blocks at two places of one disk. */
  async cloneRange(): Promise<void> {
    const { path, model, helper } = this.#options
    const { start, length } = this.#aligned(MIB)
    const from = Math.floor(this.#range(length, length).start / BLOCK) * BLOCK
    if (Math.abs(from - start) < length) return
    this.#log(`clone range from ${from}`, start, length)
    await helper.do({ op: 'cloneRange', path, start, length, from })
    model.write(start, model.read(from, length))
  }

  async resize(): Promise<void> {
    const { path, model, random, maxBytes } = this.#options
    const size = random.chance(0.7)
      ? Math.min(maxBytes, model.size + random.magnitude(1, 4 * MIB))
      : Math.max(MIN_DISK_BYTES, model.size - random.magnitude(1, 4 * MIB))
    this.#log('resize to', size, 0)
    await using handle = await open(path, 'r+')
    await handle.truncate(size)
    model.resize(size)
  }

  async sync(): Promise<void> {
    this.#log('fsync', 0, 0)
    await using handle = await open(this.#options.path, 'r+')
    await handle.sync()
  }

  async #buffered(name: string, start: number, bytes: Buffer): Promise<void> {
    this.#log(name, start, bytes.length)
    await using handle = await open(this.#options.path, constants.O_RDWR)
    await handle.write(bytes, 0, bytes.length, start)
    this.#options.model.write(start, bytes)
  }

  async #helped(op: 'direct' | 'mapped', start: number, bytes: Buffer): Promise<void> {
    const { path, model, helper } = this.#options
    this.#log(`${op} write`, start, bytes.length)
    await helper.do({ op, path, start, length: bytes.length }, bytes)
    model.write(start, bytes)
  }

  #log(name: string, start: number, length: number): void {
    this.history.push(`${name} ${start}+${length}`)
    this.#hotSpots.push(start)
  }

  /** Inside the disk, near an earlier step more often than not. */
  #range(low: number, high: number): { readonly start: number; readonly length: number } {
    const { model, random } = this.#options
    const length = Math.min(model.size, random.magnitude(low, high))
    const anywhere = random.between(0, model.size - length)
    if (this.#hotSpots.length === 0 || random.chance(0.4)) return { start: anywhere, length }
    const near = random.pick(this.#hotSpots) + random.between(-4 * BLOCK, 4 * BLOCK)
    return { start: Math.max(0, Math.min(model.size - length, near)), length }
  }

  /** Whole blocks inside the disk. */
  #aligned(high: number): { readonly start: number; readonly length: number } {
    const { start, length } = this.#range(BLOCK, high)
    const blocks = Math.max(1, Math.floor(length / BLOCK))
    const last = Math.floor(this.#options.model.size / BLOCK) - blocks
    return { start: Math.min(last, Math.floor(start / BLOCK)) * BLOCK, length: blocks * BLOCK }
  }

  /** May begin or end past the disk's end. */
  #rangeBeyondEnd(): { readonly start: number; readonly length: number } {
    const { model, random } = this.#options
    if (random.chance(0.7)) return this.#range(1, 4 * MIB)
    return { start: model.size + random.between(-2 * BLOCK, 2 * BLOCK), length: random.magnitude(1, MIB) }
  }

  /** Bytes of three kinds, since a filesystem may compress some of them. */
  #content(length: number): Buffer {
    const { random } = this.#options
    switch (random.weighted({ incompressible: 2, text: 1, repeated: 1 })) {
      case 'incompressible':
        return random.bytes(length)
      case 'text':
        return random.bytes(length).map((byte) => 0x40 + (byte & 0x0f)) as Buffer
      default:
        return Buffer.alloc(length, random.bytes(16))
    }
  }
}
