import { open } from 'node:fs/promises'
import type { Extent, ExtentBatch } from 'diskferry/core'
import { type DataRange, seekDataRanges } from './seek-ranges.ts'

/** What holds data, nobody says where. */
export function extentWithoutAddress({ start, length }: DataRange): Extent {
  return { start, length, physicalStart: null, unwritten: false, opaque: 'no-address' }
}

/**
 * A file's data ranges by SEEK_DATA and SEEK_HOLE as extents without an address, for filesystems whose FIEMAP is missing
 * or false.
 *
 * @param behind says for each range how many bytes behind it to take for data without asking
 * @throws SystemCallError, or the error of opening the file
 */
export async function* seekExtents(
  file: string,
  signal?: AbortSignal,
  behind?: (range: DataRange) => number,
): AsyncGenerator<ExtentBatch> {
  await using handle = await open(file, 'r')
  const { size } = await handle.stat()
  for await (const ranges of seekDataRanges(handle, file, size, signal, behind)) {
    yield ranges.map(extentWithoutAddress)
  }
}
