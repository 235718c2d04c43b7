import { createHash } from 'node:crypto'
import type { Extent, ExtentBatch } from '../storage-backend.ts'

const NUMBERS_PER_EXTENT = 4
const NUMBERS_PER_UPDATE = 1024 * NUMBERS_PER_EXTENT

/**
 * A fingerprint of where a file's data lies, taken while the map streams by. Extents that continue one another
 * both in the file and on the disk count as one: the kernel splits and joins them as sharing changes, without
 * a block having moved.
 */
export class MapDigest {
  readonly #hash = createHash('sha256')
  readonly #staged = new Float64Array(NUMBERS_PER_UPDATE)
  #stagedNumbers = 0
  #open: Extent | undefined

  /** Passes the map through and takes its fingerprint on the way. */
  async *observe(map: AsyncIterable<ExtentBatch>): AsyncGenerator<ExtentBatch> {
    for await (const batch of map) {
      this.add(batch)
      yield batch
    }
  }

  /** Ends the fingerprint; only after the whole map went by. */
  value(): string {
    this.#flush()
    this.#hash.update(this.#staged.subarray(0, this.#stagedNumbers))
    this.#stagedNumbers = 0
    return this.#hash.digest('base64')
  }

  add(batch: ExtentBatch): void {
    for (const extent of batch) {
      if (this.#open !== undefined && continues(this.#open, extent)) {
        this.#open = { ...this.#open, length: this.#open.length + extent.length }
      } else {
        this.#flush()
        this.#open = extent
      }
    }
  }

  #flush(): void {
    if (this.#open === undefined) return
    const { start, length, physicalStart, unwritten } = this.#open
    const at = this.#stagedNumbers
    this.#staged[at] = start
    this.#staged[at + 1] = length
    this.#staged[at + 2] = physicalStart ?? -1
    this.#staged[at + 3] = unwritten ? 1 : 0
    this.#stagedNumbers += NUMBERS_PER_EXTENT
    if (this.#stagedNumbers === NUMBERS_PER_UPDATE) {
      this.#hash.update(this.#staged)
      this.#stagedNumbers = 0
    }
    this.#open = undefined
  }
}

function continues(left: Extent, right: Extent): boolean {
  return (
    left.start + left.length === right.start &&
    left.unwritten === right.unwritten &&
    left.physicalStart !== null &&
    left.physicalStart + left.length === right.physicalStart
  )
}
