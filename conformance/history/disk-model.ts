/** What a disk must hold, in memory and independent of any filesystem: what was never written is zero. */
export class DiskModel {
  #bytes: Buffer<ArrayBuffer> = Buffer.alloc(0)

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
    this.#bytes.fill(0, Math.min(this.size, start), Math.min(this.size, start + length))
  }

  /** What lies behind a smaller size is lost for good: growing again gives zeros. */
  resize(size: number): void {
    const resized = Buffer.alloc(size)
    this.#bytes.copy(resized)
    this.#bytes = resized
  }
}
