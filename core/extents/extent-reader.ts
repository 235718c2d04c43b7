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

  constructor(map: AsyncIterable<ExtentBatch>) {
    this.#batches = map[Symbol.asyncIterator]()
  }

  /** The extent that covers `position`, or none where it is a hole; `end` is Infinity in the last hole. */
  async at(position: number): Promise<Segment> {
    for (;;) {
      const extent = this.#batch[this.#index]
      if (extent === undefined) {
        const next = await this.#batches.next()
        if (next.done) return { extent: undefined, end: Number.POSITIVE_INFINITY }
        this.#batch = next.value
        this.#index = 0
      } else if (extent.start + extent.length <= position) {
        this.#index++
      } else if (extent.start > position) {
        return { extent: undefined, end: extent.start }
      } else {
        return { extent, end: extent.start + extent.length }
      }
    }
  }

  /** Lets the map close what it holds open. */
  async close(): Promise<void> {
    await this.#batches.return?.()
  }
}
