import { type ByteRange, NEAR_BYTES } from './join-near.ts'

/** Ranges without a hole worth asking for, until a stretch counts as dense. */
const ENOUGH = 64
/** Ranges that are asked for behind what was taken without asking. */
const PROBES = 8
/** Most that is taken at once; bytes. */
const MOST_BYTES = 16 * 1024 * 1024

/**
 * Where a map is asked of a file server, range by range, a disk of very many small extents costs more round trips than
 * its holes are worth: reading NEAR_BYTES takes less time than one question. Where the last ranges lay that close
 * together, it is cheaper to take what comes behind for data, and to look there again whether they still do.
 *
 * What is taken is never more than the stretch that was dense before it, nor than 16 MiB. One for each walk of a map.
 */
export class DenseStretch {
  #start = 0
  #end = Number.NEGATIVE_INFINITY
  #ranges = 0

  /**
   * @param range the next range of data of the walk; ascending
   * @returns how many bytes behind it to take for data without asking; 0 most of the time
   */
  behind({ start, length }: ByteRange): number {
    if (start - this.#end > NEAR_BYTES) {
      this.#start = start
      this.#ranges = 0
    }
    this.#ranges += 1
    this.#end = start + length
    if (this.#ranges < ENOUGH) return 0
    this.#ranges = ENOUGH - PROBES
    const taken = Math.min(this.#end - this.#start, MOST_BYTES)
    this.#end += taken
    return taken
  }
}
