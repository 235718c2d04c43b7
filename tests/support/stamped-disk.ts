import { type FileHandle, open } from 'node:fs/promises'
import { Random } from './random.ts'

const BLOCK = 4096
const PIECE = 1024 * 1024

/**
 * A disk too large for a model in memory: the content of each 4 KiB block follows from its number and from how
 * often it was written, so any part of it can be checked by itself.
 */
export class StampedDisk {
  readonly #path: string
  readonly #blocks: number
  readonly #pattern = new Random(1).bytes(PIECE)
  readonly #rewritten = new Set<number>()

  /** @param size in bytes, a multiple of 1 MiB */
  constructor(path: string, size: number) {
    this.#path = path
    this.#blocks = size / BLOCK
  }

  /** Writes every block. */
  async fill(signal: AbortSignal): Promise<void> {
    await using handle = await open(this.#path, 'r+')
    const piece = Buffer.from(this.#pattern)
    for (let first = 0; first < this.#blocks; first += PIECE / BLOCK) {
      signal.throwIfAborted()
      for (let index = 0; index < PIECE / BLOCK; index += 1) stamp(piece, index * BLOCK, first + index, 1)
      await handle.write(piece, 0, PIECE, first * BLOCK)
    }
    await handle.sync()
  }

  /**
   * Writes some blocks at random places once more.
   * @returns how many bytes changed
   */
  async rewrite(fraction: number, random: Random, signal: AbortSignal): Promise<number> {
    const wanted = Math.round(this.#blocks * fraction)
    while (this.#rewritten.size < wanted) this.#rewritten.add(random.between(0, this.#blocks - 1))
    await using handle = await open(this.#path, 'r+')
    for (const block of this.#rewritten) {
      signal.throwIfAborted()
      await this.#writeBlock(handle, block)
    }
    await handle.sync()
    return this.#rewritten.size * BLOCK
  }

  /** What lies in any range of bytes. */
  expected(start: number, length: number): Buffer {
    const first = Math.floor(start / BLOCK)
    const last = Math.ceil((start + length) / BLOCK)
    const blocks = Array.from({ length: last - first }, (_, index) => this.#block(first + index))
    const skip = start - first * BLOCK
    return Buffer.concat(blocks).subarray(skip, skip + length)
  }

  /** Blocks rewritten outside these ranges: what a difference that named only them would have missed. */
  missedBy(ranges: readonly { readonly start: number; readonly length: number }[]): readonly number[] {
    const covered = new Set<number>()
    for (const { start, length } of ranges) {
      for (let block = Math.floor(start / BLOCK); block * BLOCK < start + length; block += 1)
        covered.add(block)
    }
    return [...this.#rewritten].filter((block) => !covered.has(block))
  }

  async #writeBlock(handle: FileHandle, block: number): Promise<void> {
    await handle.write(this.#block(block), 0, BLOCK, block * BLOCK)
  }

  #block(block: number): Buffer {
    const start = (block * BLOCK) % PIECE
    const content = Buffer.from(this.#pattern.subarray(start, start + BLOCK))
    stamp(content, 0, block, this.#rewritten.has(block) ? 2 : 1)
    return content
  }
}

function stamp(buffer: Buffer, offset: number, block: number, generation: number): void {
  buffer.writeUInt32LE(block, offset)
  buffer.writeUInt32LE(generation, offset + 4)
}
