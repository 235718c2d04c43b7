import { LineClosed } from './uml.ts'

/**
 * Passes on what comes before the marker, at once but for the last bytes while they could be its beginning.
 * @throws LineClosed when the source ends without the marker
 */
export async function* untilMarker(source: AsyncIterable<Buffer>, marker: Buffer): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0)
  for await (const chunk of source) {
    const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    const found = bytes.indexOf(marker)
    if (found > 0) yield bytes.subarray(0, found)
    if (found !== -1) return
    const end = bytes.length - beginningAtEnd(bytes, marker)
    if (end > 0) yield bytes.subarray(0, end)
    held = bytes.subarray(end)
  }
  throw new LineClosed()
}

/** How many bytes at the end of `bytes` are the first ones of `marker`. */
function beginningAtEnd(bytes: Buffer, marker: Buffer): number {
  for (let length = Math.min(marker.length - 1, bytes.length); length > 0; length -= 1) {
    if (bytes.subarray(bytes.length - length).equals(marker.subarray(0, length))) return length
  }
  return 0
}
