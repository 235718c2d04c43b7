import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import type { FilesystemFeature } from 'diskferry/core'
import { cloneRange, dedupeRange, type FallocateOperation, fallocate } from 'diskferry/native'
import { attempt, FeatureRefused } from '../features.ts'
import { content } from './content.ts'
import { copyFile } from './copy-file.ts'
import { sharingUnit } from './sharing-unit.ts'

const FEATURE: Readonly<Record<FallocateOperation, FilesystemFeature>> = {
  allocate: 'preallocate',
  'keep-size': 'keep-size',
  'punch-hole': 'punch-hole',
  'zero-range': 'zero-range',
}

/**
 * A disk as its guest, its hypervisor and its administrator treat it. All numbers are bytes. Each operation opens and
 * closes the file, and none waits for the data to be on the disk.
 */
export class Disk {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** A new file of this size, all of it a hole. */
  static async create(path: string, size = 0): Promise<Disk> {
    await using handle = await open(path, 'wx')
    await handle.truncate(size)
    return new Disk(path)
  }

  async size(): Promise<number> {
    return (await stat(this.path)).size
  }

  async write(start: number, bytes: Buffer): Promise<void> {
    await this.#open((handle) => handle.write(bytes, 0, bytes.length, start))
  }

  /** Writes what no other place and no other generation holds. */
  async fill(start: number, length: number, generation: number): Promise<void> {
    const piece = 1024 * 1024
    await this.#open(async (handle) => {
      for (let at = start; at < start + length; at += piece) {
        const bytes = content(at, Math.min(piece, start + length - at), generation)
        await handle.write(bytes, 0, bytes.length, at)
      }
    })
  }

  /** Turns every bit of one byte. */
  async flip(position: number): Promise<void> {
    await this.#open(async (handle) => {
      const byte = Buffer.alloc(1)
      await handle.read(byte, 0, 1, position)
      byte[0] = byte[0]! ^ 0xff
      await handle.write(byte, 0, 1, position)
    })
  }

  /** Writes again what is there. */
  async rewrite(start: number, length: number): Promise<void> {
    await this.#open(async (handle) => {
      const bytes = Buffer.alloc(length)
      const { bytesRead } = await handle.read(bytes, 0, length, start)
      await handle.write(bytes, 0, bytesRead, start)
    })
  }

  async truncate(size: number): Promise<void> {
    await this.#open((handle) => handle.truncate(size))
  }

  /** @throws FeatureRefused */
  async fallocate(operation: FallocateOperation, start: number, length: number): Promise<void> {
    await this.#open((handle) =>
      attempt(FEATURE[operation], () => fallocate(handle, this.path, operation, start, length)),
    )
  }

  /** Over SMB a file is stored sparse only after it was told to be, which a discard does; others are so by themselves. */
  async makeSparse(): Promise<void> {
    const size = Math.max(1, await this.size())
    await this.fallocate('punch-hole', 0, size).catch((error: unknown) => {
      if (!(error instanceof FeatureRefused)) throw error
    })
  }

  async sync(): Promise<void> {
    await this.#open((handle) => handle.sync())
  }

  /** Gives the blocks of one place to another place of the disk too. @throws FeatureRefused */
  async shareWithin(from: number, start: number, length: number): Promise<void> {
    await this.#open(async (handle) => {
      const file = { handle, path: this.path }
      const unit = await sharingUnit(handle, this.path)
      if ([from, start, length].some((number) => number % unit !== 0)) {
        throw new FeatureRefused('clone-range', new Error(`blocks are shared in units of ${unit} bytes`))
      }
      await attempt('clone-range', () => cloneRange(file, from, file, start, length))
    })
  }

  /** Moves the file's blocks as an administrator does: copies it, and gives the copy the file's name. */
  async replaceByCopy(): Promise<void> {
    const copy = `${this.path}.copy`
    await copyFile(this.path, copy)
    await rename(copy, this.path)
  }

  /**
   * Moves a range's blocks without changing a byte, as a deduplicator does: a new copy of the bytes is laid down
   * elsewhere, and the file made to share it. The start lies on a block; the end on a block or at the file's end. Where
   * blocks are shared in larger units, all of those that the range touches are moved.
   * @throws FeatureRefused
   */
  async relocate(start: number, length: number): Promise<void> {
    const donorPath = `${this.path}.donor`
    try {
      await using donor = await open(donorPath, 'wx+')
      await this.#open(async (handle) => {
        const unit = await sharingUnit(handle, this.path)
        const first = Math.floor(start / unit) * unit
        const bytes = Buffer.alloc(Math.ceil((start + length) / unit) * unit - first)
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, first)
        await donor.write(bytes, 0, bytesRead, first)
        await donor.sync()
        await this.#share({ handle: donor, path: donorPath }, handle, first, first + bytesRead)
      })
    } finally {
      await rm(donorPath, { force: true })
    }
  }

  async #share(
    donor: { readonly handle: FileHandle; readonly path: string },
    handle: FileHandle,
    start: number,
    end: number,
  ): Promise<void> {
    const file = { handle, path: this.path }
    for (let at = start; at < end; ) {
      const shared = await attempt('deduplicate', () => dedupeRange(donor, at, file, at, end - at))
      if (shared === 0) throw new Error(`the copy of '${this.path}' differs from it at ${at}`)
      at += shared
    }
  }

  async #open(work: (handle: FileHandle) => Promise<unknown>): Promise<void> {
    await using handle = await open(this.path, 'r+')
    await work(handle)
  }
}
