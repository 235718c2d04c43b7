import type { Chunk } from '../services.ts'

/**
 * Joins chunks that are neighbours in the file and of the same kind. The first one's physical start is kept,
 * as the ancestor did: after squashing it says nothing of the rest.
 */
export function squash(chunks: Iterable<Chunk>): Iterable<Chunk> {
  return { [Symbol.iterator]: () => joinNeighbours(chunks) }
}

function* joinNeighbours(chunks: Iterable<Chunk>): Generator<Chunk> {
  let open: Chunk | undefined
  for (const chunk of chunks) {
    if (open !== undefined && open.zero === chunk.zero && open.start + open.length === chunk.start) {
      open = { ...open, length: open.length + chunk.length }
    } else {
      if (open !== undefined) yield open
      open = chunk
    }
  }
  if (open !== undefined) yield open
}
