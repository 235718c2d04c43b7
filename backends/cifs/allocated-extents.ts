import { open } from 'node:fs/promises'
import { type Extent, type ExtentBatch, systemCode } from 'diskferry/core'
import { seekDataRanges } from 'diskferry/native'

/**
 * A file's data ranges as extents without an address. Where a seek ends with EIO all that is left of the file is taken for
 * data: against Samba the client asks for the allocated ranges with room for one, and a server that has more to say
 * refuses (STATUS_BUFFER_TOO_SMALL), seen with Linux 6.1 and Samba 4.17. A failing server is met again when the bytes
 * are read.
 *
 * @throws SystemCallError other than EIO, or the error of opening the file
 */
export async function* allocatedExtents(file: string, signal?: AbortSignal): AsyncGenerator<ExtentBatch> {
  await using handle = await open(file, 'r')
  const { size } = await handle.stat()
  let end = 0
  try {
    for await (const ranges of seekDataRanges(handle, file, size, signal)) {
      yield ranges.map(({ start, length }) => withoutAddress(start, length))
      const last = ranges.at(-1)!
      end = last.start + last.length
    }
  } catch (error) {
    if (systemCode(error) !== 'EIO') throw error
    if (end < size) yield [withoutAddress(end, size - end)]
  }
}

function withoutAddress(start: number, length: number): Extent {
  return { start, length, physicalStart: null, unwritten: false, opaque: 'no-address' }
}
