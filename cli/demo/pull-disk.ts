import { type FileHandle, open } from 'node:fs/promises'
import type { ChunkJson, DiskSnapshotJson } from './demo-client.ts'

/** One request asks for no more than this; bytes. */
const PIECE_BYTES = 8 * 1024 * 1024
const ZEROS = Buffer.alloc(1024 * 1024)

export interface Pulled {
  readonly fetchedBytes: number
  /** Written as zeros without being fetched. */
  readonly zeroBytes: number
  readonly seconds: number
}

/**
 * Brings a local copy up to a snapshot: cut or grown to the disk's size first, then each chunk written at its start.
 *
 * @param fetch gets the bytes of one range
 */
export async function pullDisk(
  disk: DiskSnapshotJson,
  copy: string,
  fetch: (start: number, length: number) => Promise<Buffer>,
  report: (done: number, all: number) => void,
): Promise<Pulled> {
  const began = performance.now()
  const all = disk.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  let fetchedBytes = 0
  let zeroBytes = 0
  await using file = await open(copy, 'a+').then(async (handle) => {
    await handle.close()
    return open(copy, 'r+')
  })
  await file.truncate(disk.size)
  for (const chunk of disk.chunks) {
    for (let at = chunk.start; at < chunk.start + chunk.length; ) {
      const length = Math.min(PIECE_BYTES, chunk.start + chunk.length - at)
      if (chunk.zero === true) {
        await writeZeros(file, { start: at, length })
        zeroBytes += length
      } else {
        await file.write(await fetch(at, length), 0, length, at)
        fetchedBytes += length
      }
      at += length
      report(fetchedBytes + zeroBytes, all)
    }
  }
  return { fetchedBytes, zeroBytes, seconds: (performance.now() - began) / 1000 }
}

async function writeZeros(file: FileHandle, { start, length }: ChunkJson): Promise<void> {
  for (let done = 0; done < length; done += ZEROS.length) {
    await file.write(ZEROS, 0, Math.min(ZEROS.length, length - done), start + done)
  }
}
