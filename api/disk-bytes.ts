import { Readable } from 'node:stream'
import { DiskferryError, describe } from '../core/errors.ts'
import type { OpenDisk } from '../core/services.ts'
import type { Segment } from './multipart-ranges.ts'

/**
 * Bytes of one read. Measured over TLS on one connection: reads of 64 KiB gave 0.3 GB/s, of 1 MiB 0.78 GB/s,
 * about what a server with sendfile reaches.
 */
export const READ_BYTES = 1024 * 1024

/**
 * The body of a download. It owns the open disk and closes it when it ends, however it ends; a generator would
 * not, because destroying one that has not begun runs none of its code. At most one read is ahead of the client.
 */
export class DiskBytes extends Readable {
  readonly #disk: OpenDisk
  readonly #segments: readonly Segment[]
  readonly #name: string
  #index = 0
  #offset = 0
  #reading: Promise<void> = Promise.resolve()

  /** @param name of the disk, for errors */
  constructor(disk: OpenDisk, segments: readonly Segment[], name: string) {
    super({ highWaterMark: READ_BYTES })
    this.#disk = disk
    this.#segments = segments
    this.#name = name
  }

  override _read(): void {
    this.#reading = this.#next().then(
      (piece) => {
        if (!this.destroyed) this.push(piece)
      },
      (error: unknown) => {
        this.destroy(error instanceof Error ? error : new Error(describe(error)))
      },
    )
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#reading
      .then(() => this.#disk[Symbol.asyncDispose]())
      .then(
        () => callback(error),
        (closing: unknown) => callback(error ?? this.#failure(closing)),
      )
  }

  async #next(): Promise<Buffer | null> {
    const segment = this.#segments[this.#index]
    if (segment === undefined) return null
    if (Buffer.isBuffer(segment)) {
      this.#index += 1
      return segment
    }
    const position = segment.start + this.#offset
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, segment.length - this.#offset))
    const bytesRead = await this.#readAt(buffer, position)
    if (bytesRead === 0) {
      throw this.#failure(
        new Error(`The file ends at byte ${position}, but ${this.#disk.size} bytes were promised`),
      )
    }
    this.#offset += bytesRead
    if (this.#offset === segment.length) {
      this.#index += 1
      this.#offset = 0
    }
    return buffer.subarray(0, bytesRead)
  }

  async #readAt(buffer: Buffer, position: number): Promise<number> {
    try {
      return await this.#disk.read(buffer, position)
    } catch (error) {
      throw error instanceof DiskferryError ? error : this.#failure(error)
    }
  }

  #failure(cause: unknown): DiskferryError {
    return new DiskferryError(
      'READ_FAILED',
      `${this.#name} could not be read to the end: ${describe(cause)}. The download was broken off; check the repository's filesystem and that nothing changes the files below CoriolisSnapshots.`,
      { cause },
    )
  }
}
