import { open } from 'node:fs/promises'

const PIECE_BYTES = 4 * 1024 * 1024

/** Where two files first differ, in bytes, also by being shorter; undefined when they are equal. */
export async function compareFiles(
  left: string,
  right: string,
  report: (done: number) => void,
  signal: AbortSignal,
): Promise<number | undefined> {
  await using leftFile = await open(left, 'r')
  await using rightFile = await open(right, 'r')
  const [leftSize, rightSize] = [(await leftFile.stat()).size, (await rightFile.stat()).size]
  if (leftSize !== rightSize) return Math.min(leftSize, rightSize)
  const [leftPiece, rightPiece] = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(PIECE_BYTES)]
  for (let at = 0; at < leftSize; ) {
    signal.throwIfAborted()
    const [{ bytesRead }, other] = await Promise.all([
      leftFile.read(leftPiece, 0, PIECE_BYTES, at),
      rightFile.read(rightPiece, 0, PIECE_BYTES, at),
    ])
    const length = Math.min(bytesRead, other.bytesRead)
    if (length === 0) return at
    if (leftPiece.compare(rightPiece, 0, length, 0, length) !== 0) {
      return at + leftPiece.subarray(0, length).findIndex((byte, index) => byte !== rightPiece[index])
    }
    at += length
    report(at)
  }
  return undefined
}
