import { open } from 'node:fs/promises'

const PIECE_BYTES = 1024 * 1024
const UNIT_BYTES = 64 * 1024
const ZEROS = Buffer.alloc(UNIT_BYTES)

/**
 * Copies the bytes of a file to a new file, leaving holes where 64 KiB are zeros. Node's own copyFile() may make a clone
 * of it, which shares the blocks.
 */
export async function copyFile(source: string, target: string): Promise<void> {
  await using from = await open(source, 'r')
  await using to = await open(target, 'wx')
  const piece = Buffer.allocUnsafe(PIECE_BYTES)
  let position = 0
  for (;;) {
    const { bytesRead } = await from.read(piece, 0, PIECE_BYTES, position)
    if (bytesRead === 0) break
    for (let at = 0; at < bytesRead; at += UNIT_BYTES) {
      const unit = piece.subarray(at, Math.min(bytesRead, at + UNIT_BYTES))
      if (!unit.equals(ZEROS.subarray(0, unit.length))) await to.write(unit, 0, unit.length, position + at)
    }
    position += bytesRead
  }
  await to.truncate(position)
  await to.sync()
}
