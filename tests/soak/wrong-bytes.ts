import { open } from 'node:fs/promises'

const PIECE_BYTES = 4 * 1024 * 1024

/** How many bytes of two files differ, their lengths included; piece by piece. */
export async function wrongBytes(file: string, expectedFile: string): Promise<number> {
  await using actual = await open(file, 'r')
  await using expected = await open(expectedFile, 'r')
  const [{ size }, { size: expectedSize }] = await Promise.all([actual.stat(), expected.stat()])
  const [piece, wanted] = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(PIECE_BYTES)]
  let wrong = Math.abs(size - expectedSize)
  for (let start = 0; start < Math.min(size, expectedSize); start += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, Math.min(size, expectedSize) - start)
    await Promise.all([actual.read(piece, 0, length, start), expected.read(wanted, 0, length, start)])
    if (piece.compare(wanted, 0, length, 0, length) === 0) continue
    for (let at = 0; at < length; at += 1) {
      if (piece[at] !== wanted[at]) wrong += 1
    }
  }
  return wrong
}
