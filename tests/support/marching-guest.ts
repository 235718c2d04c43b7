import { open } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'

const BLOCK = 4096

/**
 * A guest that numbers its writes and writes the blocks of its disk one after the other, round and round: what a disk
 * held at one moment tells how many writes there had been, and a mixture of several moments tells itself.
 */
export class MarchingGuest {
  #writes = 0
  #stopped = false
  readonly #end: Promise<void>

  /** Begins at once. @param path of a disk that was never written to */
  constructor(path: string) {
    this.#end = this.#march(path)
    this.#end.catch(() => undefined)
  }

  /** Waits until it has done a write that had not been begun. */
  async goOn(): Promise<void> {
    const wanted = this.#writes + 2
    while (this.#writes < wanted) await Promise.race([setImmediate(), this.#end])
  }

  /** @returns the number of its last write */
  async stop(): Promise<number> {
    this.#stopped = true
    await this.#end
    return this.#writes
  }

  async #march(path: string): Promise<void> {
    await using handle = await open(path, 'r+')
    const blocks = (await handle.stat()).size / BLOCK
    while (!this.#stopped) {
      await handle.write(numbered(this.#writes + 1), 0, BLOCK, (this.#writes % blocks) * BLOCK)
      this.#writes += 1
    }
  }
}

/** How many writes had been done. @throws when it is not what the disk held at any one moment */
export function writesIn(disk: Buffer): number {
  const blocks = disk.length / BLOCK
  const held = Array.from({ length: blocks }, (_, block) => disk.readUInt32LE(block * BLOCK))
  const writes = Math.max(...held)
  for (let block = 0; block < blocks; block += 1) {
    const rounds = Math.ceil((writes - block) / blocks)
    const expected = rounds <= 0 ? 0 : (rounds - 1) * blocks + block + 1
    if (!disk.subarray(block * BLOCK, (block + 1) * BLOCK).equals(numbered(expected)))
      throw new Error(`block ${block} holds write ${held[block]} and not ${expected}, the last was ${writes}`)
  }
  return writes
}

function numbered(write: number): Buffer {
  const number = Buffer.alloc(4)
  number.writeUInt32LE(write)
  return Buffer.alloc(BLOCK, number)
}
