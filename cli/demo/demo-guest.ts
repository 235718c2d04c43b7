import { randomBytes, randomInt } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { runCommand } from './run-command.ts'

const MIB = 1024 * 1024
const BLOCK = 4096
/** Guests write again and again in few places: a journal, a database, a log. */
const HOT_SPOTS = 6
const HOT_SPOT_BYTES = 8 * MIB

export interface DemoDisk {
  readonly path: string
  size: number
}

/** Stands for the operating system in the VM: it writes its disks the way guests do. */
export class DemoGuest {
  readonly disks: readonly DemoDisk[]

  constructor(disks: readonly DemoDisk[]) {
    this.disks = disks
  }

  /** Makes the disks, sparse, with runs of data in about half of them. */
  async install(signal: AbortSignal): Promise<void> {
    for (const disk of this.disks) {
      await using file = await open(disk.path, 'wx', 0o600)
      await file.truncate(disk.size)
      for (let start = 0; start < disk.size; start += 32 * MIB) {
        signal.throwIfAborted()
        await writeRandom(file, start, 17 * MIB)
      }
    }
  }

  /** A day in the life: scattered small writes, a new file, discards, and the second disk grows. */
  async work(signal: AbortSignal): Promise<void> {
    for (const disk of this.disks) {
      await using file = await open(disk.path, 'r+')
      for (let spot = 0; spot < HOT_SPOTS; spot++) {
        signal.throwIfAborted()
        const spotStart = randomInt((disk.size - HOT_SPOT_BYTES) / BLOCK) * BLOCK
        for (let count = 0; count < 50; count++) {
          await writeRandom(
            file,
            spotStart + randomInt(HOT_SPOT_BYTES / BLOCK - 4) * BLOCK,
            BLOCK * randomInt(1, 5),
          )
        }
      }
      await writeRandom(file, disk.size / 2 + 20 * MIB, 5 * MIB)
    }
    const [first, last] = [this.disks[0]!, this.disks.at(-1)!]
    await this.#discard(first, 64 * MIB, 12 * MIB, signal)
    await this.#discard(last, 33 * MIB + BLOCK, 3 * MIB, signal)
    await this.#grow(last, 32 * MIB)
  }

  async #discard(disk: DemoDisk, start: number, length: number, signal: AbortSignal): Promise<void> {
    await runCommand('fallocate', ['--punch-hole', '-o', String(start), '-l', String(length), disk.path], {
      signal,
    })
  }

  async #grow(disk: DemoDisk, bytes: number): Promise<void> {
    await using file = await open(disk.path, 'r+')
    await file.truncate(disk.size + bytes)
    await writeRandom(file, disk.size + bytes / 2, MIB)
    disk.size += bytes
  }
}

async function writeRandom(file: FileHandle, start: number, length: number): Promise<void> {
  for (let done = 0; done < length; ) {
    const piece = randomBytes(Math.min(MIB, length - done))
    await file.write(piece, 0, piece.length, start + done)
    done += piece.length
  }
}
