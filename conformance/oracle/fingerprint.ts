import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { PieceBuffer, pieces } from './regions.ts'

/** The size and the SHA-256 of a file's bytes. */
export async function fingerprint(file: string): Promise<string> {
  await using handle = await open(file, 'r')
  const { size } = await handle.stat()
  const hash = createHash('sha256')
  const buffer = new PieceBuffer()
  for (const piece of pieces([{ start: 0, length: size }])) hash.update(await buffer.read(handle, piece))
  return `${size} bytes, sha256 ${hash.digest('hex')}`
}
