import { DenseStretch, type ExtentBatch } from 'diskferry/core'
import { seekExtents } from 'diskferry/native'

/**
 * A file's data ranges as extents without an address. Each takes two SEEK operations, two round trips to the server; where
 * they lie close together, what is between them is taken for data.
 *
 * @throws SystemCallError, or the error of opening the file
 */
export function allocatedExtents(file: string, signal?: AbortSignal): AsyncGenerator<ExtentBatch> {
  const stretch = new DenseStretch()
  return seekExtents(file, signal, (range) => stretch.behind(range))
}
