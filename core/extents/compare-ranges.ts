import { type FileHandle, open } from 'node:fs/promises'
import { shownPath } from '../held-path.ts'
import type { ChangedRange, ChangedRangeBatch } from '../storage-backend.ts'

/** The unit in which a change is reported; bytes. */
export const COMPARE_BLOCK = 4096
const PIECE_BYTES = 2 * 1024 * 1024
/** Pieces read at once: bounds the memory to twice that many pieces. */
const PIECES_AHEAD = 4
const ZEROS = Buffer.alloc(PIECE_BYTES)

interface Range {
  readonly start: number
  readonly length: number
}

interface Piece extends Range {
  readonly base: Buffer
  readonly target: Buffer
}

/**
 * Reads the given ranges (ascending, bytes, inside the target) of two files and yields what really differs, in
 * blocks of 4 KiB: `zero` where the target's block is all zeros, else `data`. Beyond the base's end the base
 * counts as zeros. Empty batches are left out.
 *
 * @throws errors of opening and reading; READ_SHORT as an Error when the target ends before a range does
 */
export async function* compareRanges(
  baseFile: string,
  targetFile: string,
  ranges: Iterable<Range> | AsyncIterable<Range>,
  signal?: AbortSignal,
): AsyncGenerator<ChangedRangeBatch> {
  await using files = new OpenFiles(baseFile, targetFile)
  // What can't be opened is told even when there is nothing to read.
  await files.of(0)
  const reading: Promise<Piece>[] = []
  let turn = 0
  try {
    for await (const piece of splitIntoPieces(ranges)) {
      signal?.throwIfAborted()
      // The buffers of the piece that was compared last are free again.
      const next = readPiece(files.of(turn++ % PIECES_AHEAD), targetFile, piece)
      // An abandoned piece must not surface as an unhandled rejection; a used one throws where it is awaited.
      next.catch(() => undefined)
      reading.push(next)
      if (reading.length === PIECES_AHEAD) yield* nonEmpty(comparePiece(await reading.shift()!))
    }
    while (reading.length > 0) {
      signal?.throwIfAborted()
      yield* nonEmpty(comparePiece(await reading.shift()!))
    }
  } finally {
    // The handles may be closed only when nobody reads from them any more.
    await Promise.allSettled(reading)
  }
}

function* nonEmpty(batch: ChangedRangeBatch): Generator<ChangedRangeBatch> {
  if (batch.length > 0) yield batch
}

/** Pieces end at multiples of their size, so that blocks keep to the file's own 4 KiB grid. */
async function* splitIntoPieces(ranges: Iterable<Range> | AsyncIterable<Range>): AsyncGenerator<Range> {
  for await (const { start, length } of ranges) {
    for (let at = start; at < start + length; ) {
      const end = Math.min(start + length, (Math.floor(at / PIECE_BYTES) + 1) * PIECE_BYTES)
      yield { start: at, length: end - at }
      at = end
    }
  }
}

interface OpenPair {
  readonly base: FileHandle
  readonly target: FileHandle
  readonly room: { readonly base: Room; readonly target: Room }
}

/** Memory for one piece after the other: what is new each time costs as much as reading it. */
class Room {
  #memory = Buffer.alloc(0)

  /** As large as it must be: most disks in a comparison of small ones are far smaller than a piece. */
  of(length: number): Buffer {
    if (this.#memory.length < length) {
      const bytes = Math.min(PIECE_BYTES, Math.max(length, 2 * this.#memory.length))
      this.#memory = Buffer.allocUnsafeSlow(bytes)
    }
    return this.#memory.subarray(0, length)
  }
}

/**
 * The two files, opened once for each piece that is read at once: the kernel guesses for each open file what to read
 * ahead, and pieces that are read side by side through one would spoil that. Those after the first are opened through it,
 * so that they are the same file, whatever has its name by then.
 */
class OpenFiles implements AsyncDisposable {
  readonly #baseFile: string
  readonly #targetFile: string
  readonly #pairs: Promise<OpenPair>[] = []

  constructor(baseFile: string, targetFile: string) {
    this.#baseFile = baseFile
    this.#targetFile = targetFile
  }

  of(index: number): Promise<OpenPair> {
    this.#pairs[index] ??= index === 0 ? this.#open(this.#baseFile, this.#targetFile) : this.#openAgain()
    return this.#pairs[index]
  }

  async #openAgain(): Promise<OpenPair> {
    const { base, target } = await this.of(0)
    return await this.#open(`/proc/self/fd/${base.fd}`, `/proc/self/fd/${target.fd}`)
  }

  async #open(baseFile: string, targetFile: string): Promise<OpenPair> {
    const base = await open(baseFile, 'r')
    try {
      const target = await open(targetFile, 'r')
      return { base, target, room: { base: new Room(), target: new Room() } }
    } catch (error) {
      await base.close()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const outcome of await Promise.allSettled(this.#pairs)) {
      if (outcome.status === 'rejected') continue
      await outcome.value.base.close()
      await outcome.value.target.close()
    }
  }
}

async function readPiece(pair: Promise<OpenPair>, targetFile: string, range: Range): Promise<Piece> {
  const { base, target, room } = await pair
  const buffers = { base: room.base.of(range.length), target: room.target.of(range.length) }
  const [baseBytes, targetBytes] = await Promise.all([
    readFully(base, buffers.base, range.start),
    readFully(target, buffers.target, range.start),
  ])
  if (targetBytes < range.length) {
    throw new Error(
      `'${shownPath(targetFile)}' ended at ${range.start + targetBytes} while it was being compared`,
    )
  }
  buffers.base.fill(0, baseBytes)
  return { ...range, ...buffers }
}

/** Bytes read: fewer than asked for only at the file's end. */
async function readFully(handle: FileHandle, buffer: Buffer, position: number): Promise<number> {
  let filled = 0
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return filled
}

/** Where a piece differs, whole stretches of it often do not. */
const STRETCH_BYTES = 64 * 1024

function comparePiece({ start, base, target }: Piece): ChangedRangeBatch {
  if (base.equals(target)) return []
  const changed: Changed[] = []
  for (let at = 0; at < target.length; ) {
    const end = Math.min(target.length, at + STRETCH_BYTES - ((start + at) % STRETCH_BYTES))
    if (base.compare(target, at, end, at, end) !== 0) compareBlocks(base, target, start, at, end, changed)
    at = end
  }
  return changed
}

interface Changed {
  readonly start: number
  length: number
  readonly kind: ChangedRange['kind']
}

/** Adds the blocks that differ between `from` and `to` of two buffers, which hold the files from `start` on. */
function compareBlocks(
  base: Buffer,
  target: Buffer,
  start: number,
  from: number,
  to: number,
  changed: Changed[],
): void {
  for (let at = from; at < to; ) {
    const end = Math.min(to, at + COMPARE_BLOCK - ((start + at) % COMPARE_BLOCK))
    if (base.compare(target, at, end, at, end) !== 0) {
      const kind = target.compare(ZEROS, 0, end - at, at, end) === 0 ? 'zero' : 'data'
      const last = changed.at(-1)
      if (last?.kind === kind && last.start + last.length === start + at) last.length += end - at
      else changed.push({ start: start + at, length: end - at, kind })
    }
    at = end
  }
}
