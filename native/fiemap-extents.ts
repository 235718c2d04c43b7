import { open } from 'node:fs/promises'
import type { Extent, ExtentBatch } from 'diskferry/core'
import { fiemap } from './fiemap.ts'
import { FIEMAP_EXTENT, type FiemapExtent } from './fiemap-call.ts'

/** With only these, the physical address stands for the data. A flag that we don't know counts as bad. */
const HARMLESS = FIEMAP_EXTENT.LAST | FIEMAP_EXTENT.MERGED | FIEMAP_EXTENT.SHARED | FIEMAP_EXTENT.UNWRITTEN

const OPAQUE_WORDS: readonly (readonly [flag: number, word: string])[] = [
  [FIEMAP_EXTENT.DELALLOC, 'delayed'],
  [FIEMAP_EXTENT.UNKNOWN, 'unknown'],
  [FIEMAP_EXTENT.DATA_ENCRYPTED, 'encrypted'],
  [FIEMAP_EXTENT.ENCODED, 'encoded'],
  [FIEMAP_EXTENT.DATA_INLINE, 'inline'],
  [FIEMAP_EXTENT.DATA_TAIL, 'tail'],
  [FIEMAP_EXTENT.NOT_ALIGNED, 'unaligned'],
]

/**
 * A file's extents by FIEMAP in the contract's form: clipped to the file's size as it is when the map is begun
 * (FIEMAP rounds up to blocks and lists preallocation beyond the end).
 *
 * @throws SystemCallError (EOPNOTSUPP), or the error of opening the file
 */
export async function* fiemapExtents(file: string, signal?: AbortSignal): AsyncGenerator<ExtentBatch> {
  await using handle = await open(file, 'r')
  const { size } = await handle.stat()
  for await (const batch of fiemap(handle, file, signal)) {
    const extents: Extent[] = []
    for (const raw of batch) {
      if (raw.logical < size) extents.push(toExtent(raw, size))
    }
    if (extents.length > 0) yield extents
  }
}

export function toExtent(raw: FiemapExtent, size: number): Extent {
  const start = raw.logical
  const length = Math.min(raw.length, size - start)
  const opaque = opaqueWord(raw)
  // UNWRITTEN beside a bad flag can mean dirty data over preallocated blocks: only its content tells.
  if (opaque !== undefined) return { start, length, physicalStart: null, unwritten: false, opaque }
  const unwritten = (raw.flags & FIEMAP_EXTENT.UNWRITTEN) !== 0
  return { start, length, physicalStart: raw.physical, unwritten }
}

function opaqueWord({ flags, physical }: FiemapExtent): string | undefined {
  if ((flags & ~HARMLESS) !== 0) return wordOf(flags)
  return Number.isSafeInteger(physical) ? undefined : 'address-too-large'
}

function wordOf(flags: number): string {
  for (const [flag, word] of OPAQUE_WORDS) {
    if ((flags & flag) !== 0) return word
  }
  return 'unknown-flag'
}
