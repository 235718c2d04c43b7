import type { Extent, ExtentBatch } from '../storage-backend.ts'

/** What a range of a file is made of; a hole is whatever lies between two extents. */
export type Segment = { readonly extent: Extent | undefined; readonly end: number }

/**
 * Walks a map forward, one position at a time: what is at `position`, and up to where is it the same kind?
 * Holds one batch.
 */
export class ExtentReader {
  readonly #batches: AsyncIterator<ExtentBatch>
  #batch: ExtentBatch = []
  #index = 0
  #ended = false

  constructor(map: AsyncIterable<ExtentBatch>) {
    this.#batches = map[Symbol.asyncIterator]()
  }

  /** The extent that covers `position`, or none where it is a hole; `end` is Infinity in the last hole. */
  async at(position: number): Promise<Segment> {
    for (;;) {
      const segment = this.known(position)
      if (segment !== undefined) return segment
      const next = await this.#batches.next()
      if (next.done) this.#ended = true
      else this.#batch = next.value
      this.#index = 0
    }
  }

  /** The same as far as the batch in hand tells; undefined when it takes the next one. */
  known(position: number): Segment | undefined {
    for (; this.#index < this.#batch.length; this.#index++) {
      const extent = this.#batch[this.#index]!
      const end = extent.start + extent.length
      if (end <= position) continue
      return extent.start > position ? { extent: undefined, end: extent.start } : { extent, end }
    }
    return this.#ended ? { extent: undefined, end: Number.POSITIVE_INFINITY } : undefined
  }

  /** Lets the map close what it holds open. */
  async close(): Promise<void> {
    await this.#batches.return?.()
  }
}
