import type { FileHandle } from 'node:fs/promises'

/** A range of a file, in bytes. */
export interface Region {
  readonly start: number
  readonly length: number
}

export const BLOCK = 4096
export const PIECE_BYTES = 1024 * 1024

/** Cuts regions into pieces of at most 1 MiB that end on its grid, and so on that of 4 KiB blocks. */
export function* pieces(regions: Iterable<Region>): Generator<Region> {
  for (const { start, length } of regions) {
    for (let at = start; at < start + length; ) {
      const end = Math.min(start + length, (Math.floor(at / PIECE_BYTES) + 1) * PIECE_BYTES)
      yield { start: at, length: end - at }
      at = end
    }
  }
}

/** Room for the piece that is being looked at, used again by the next. */
export class PieceBuffer {
  #memory = Buffer.alloc(0)

  /** The file's bytes there; zeros beyond its end. */
  async read(handle: FileHandle, { start, length }: Region): Promise<Buffer> {
    if (this.#memory.length < length) this.#memory = Buffer.allocUnsafeSlow(length)
    const bytes = this.#memory.subarray(0, length)
    let filled = 0
    while (filled < length) {
      const { bytesRead } = await handle.read(bytes, filled, length - filled, start + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    bytes.fill(0, filled)
    return bytes
  }
}

/** The first place where two buffers of one length differ; undefined when they are equal. */
export function firstDifference(left: Buffer, right: Buffer): number | undefined {
  if (left.equals(right)) return undefined
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return index
  return undefined
}

/** Walks ascending ranges along ascending pieces: those that touch the piece, cut to it. */
export class RangeWalk<R extends Region> {
  readonly #ranges: readonly R[]
  #index = 0

  constructor(ranges: readonly R[]) {
    this.#ranges = ranges
  }

  *inside(piece: Region): Generator<{ readonly range: R; readonly from: number; readonly to: number }> {
    const end = piece.start + piece.length
    while (this.#index < this.#ranges.length && endOf(this.#ranges[this.#index]!) <= piece.start)
      this.#index++
    for (let index = this.#index; index < this.#ranges.length; index++) {
      const range = this.#ranges[index]!
      if (range.start >= end) return
      const from = Math.max(range.start, piece.start) - piece.start
      yield { range, from, to: Math.min(endOf(range), end) - piece.start }
    }
  }
}

function endOf({ start, length }: Region): number {
  return start + length
}
