import { open } from 'node:fs/promises'
import type { ExtentBatch } from 'diskferry/core'
import { seekDataRanges } from './seek-ranges.ts'

/**
 * A file's data ranges by SEEK_DATA and SEEK_HOLE as extents without an address, for filesystems whose FIEMAP is missing
 * or false.
 *
 * @throws SystemCallError, or the error of opening the file
 */
export async function* seekExtents(file: string, signal?: AbortSignal): AsyncGenerator<ExtentBatch> {
  await using handle = await open(file, 'r')
  const { size } = await handle.stat()
  for await (const ranges of seekDataRanges(handle, file, size, signal)) {
    yield ranges.map((range) => ({ ...range, physicalStart: null, unwritten: false, opaque: 'no-address' }))
  }
}
