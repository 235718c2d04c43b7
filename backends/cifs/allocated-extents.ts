import { open } from 'node:fs/promises'
import type { ExtentBatch } from 'diskferry/core'
import { extentWithoutAddress, fiemapWindow } from 'diskferry/native'
import { allocatedRanges } from './allocated-ranges.ts'

/**
 * A file's data ranges as extents without an address. The client answers FIEMAP by what the server says to
 * FSCTL_QUERY_ALLOCATED_RANGES (smb3_fiemap() in fs/smb/client/smb2ops.c), through the open file itself and with room for
 * 1024 ranges, where SEEK_DATA has room for one. The addresses are the offsets again, and mean nothing.
 *
 * @throws SystemCallError, or the error of opening or flushing the file
 */
export async function* allocatedExtents(file: string, signal?: AbortSignal): AsyncGenerator<ExtentBatch> {
  await using handle = await open(file, 'r')
  // The server knows nothing of this client's dirty pages, and Windows forgets recent writes until it is told to flush:
  // smb3_llseek(). FIEMAP_FLAG_SYNC does only the former.
  await handle.sync()
  const { size } = await handle.stat()
  const ask = async (start: number, length: number) =>
    (await fiemapWindow(handle, file, start, length))?.map((extent) => ({
      start: extent.logical,
      length: extent.length,
    }))
  for await (const ranges of allocatedRanges(size, ask, signal)) {
    yield ranges.map(extentWithoutAddress)
  }
}
