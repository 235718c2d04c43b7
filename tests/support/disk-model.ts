import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const PIECE_BYTES = 4 * 1024 * 1024
const piece = Buffer.allocUnsafe(PIECE_BYTES)

/** What a disk must hold, kept in memory and independent of any filesystem: what was never written is zero. */
export class DiskModel {
  #bytes: Buffer

  constructor(size: number) {
    this.#bytes = Buffer.alloc(size)
  }

  get size(): number {
    return this.#bytes.length
  }

  /** The content as it is now; it does not follow later changes. */
  snapshot(): Buffer {
    return Buffer.from(this.#bytes)
  }

  read(start: number, length: number): Buffer {
    return Buffer.from(this.#bytes.subarray(start, start + length))
  }

  /** Grows the disk when it writes past the end, as write(2) does. */
  write(start: number, bytes: Buffer): void {
    if (start + bytes.length > this.size) this.resize(start + bytes.length)
    bytes.copy(this.#bytes, start)
  }

  /** Never grows the disk, as a discard doesn't. */
  zero(start: number, length: number): void {
    this.#bytes.fill(0, start, Math.min(this.size, start + length))
  }

  /** What lies behind a smaller size is lost for good: growing again gives zeros. */
  resize(size: number): void {
    const resized = Buffer.alloc(size)
    this.#bytes.copy(resized)
    this.#bytes = resized
  }
}

/** Where two contents first differ, for a message; undefined when they are equal. */
export function firstDifference(actual: Buffer, expected: Buffer): string | undefined {
  if (actual.equals(expected)) return undefined
  const end = Math.min(actual.length, expected.length)
  let wrong = 0
  let first = -1
  let last = -1
  for (let offset = 0; offset < end; offset += 1) {
    if (actual[offset] === expected[offset]) continue
    if (first < 0) first = offset
    last = offset
    wrong += 1
  }
  const sizes =
    actual.length === expected.length ? '' : `size ${actual.length} instead of ${expected.length}; `
  if (first < 0) return `${sizes}equal up to ${end}`
  return `${sizes}${wrong} wrong bytes from ${first} to ${last}; at ${first} there is ${actual[first]} instead of ${expected[first]}`
}

/** The same for a file, read piece by piece into memory that is used again: models compare gigabytes. */
export function fileDifference(path: string, expected: Buffer): string | undefined {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    if (size !== expected.length) return `size ${size} instead of ${expected.length}`
    for (let start = 0; start < size; start += PIECE_BYTES) {
      const length = readSync(file, piece, 0, Math.min(PIECE_BYTES, size - start), start)
      const difference = firstDifference(
        piece.subarray(0, length),
        expected.subarray(start, start + PIECE_BYTES),
      )
      if (difference !== undefined) return `from ${start}: ${difference}`
    }
    return undefined
  } finally {
    closeSync(file)
  }
}
