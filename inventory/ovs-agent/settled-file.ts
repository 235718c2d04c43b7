import { setTimeout as delay } from 'node:timers/promises'
import { DiskferryError, type ErrorCode } from '../../core/errors.ts'
import { openRegularFile, readWhole } from '../regular-file.ts'

export interface SettledFileOptions<T> {
  readonly maxBytes: number
  /** The code of the error when the file is refused: by `parse`, for its size, for changing all the time. */
  readonly refusedCode: ErrorCode
  /** @param name the path, for errors */
  readonly parse: (bytes: Buffer, name: string) => T
}

/** Milliseconds before each further reading: 0.3 s in all, many times what an agent needs to write its pages. */
const PAUSES = [20, 40, 80, 160]

/**
 * Milliseconds. A file time moves in steps of the kernel's tick (up to 10 ms), so a file changed a moment ago may
 * change again without a trace.
 */
const SETTLING_TIME = 50

/**
 * Reads a file that another program may be writing. It is read again, a few times, while `parse` refuses it or it
 * changes meanwhile, and when it was changed only a moment ago.
 * @throws what `parse` threw last; `refusedCode`; INVENTORY_UNREADABLE for system errors; the signal's reason
 */
export async function readSettledFile<T>(
  path: string,
  options: SettledFileOptions<T>,
  signal?: AbortSignal,
): Promise<T> {
  for (const pause of PAUSES) {
    signal?.throwIfAborted()
    const reading = await readOnce(path, options)
    if ('value' in reading && reading.settled) return reading.value
    try {
      await delay(pause, undefined, { signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  }
  const last = await readOnce(path, options)
  if ('value' in last) return last.value
  throw last.refusal
}

type Reading<T> = { readonly value: T; readonly settled: boolean } | { readonly refusal: DiskferryError }

async function readOnce<T>(path: string, options: SettledFileOptions<T>): Promise<Reading<T>> {
  const { refusedCode, parse } = options
  await using file = await openRegularFile(path, { ...options, followLinks: true })
  const before = file.stats
  const bytes = await readWhole(file)
  let value: T
  try {
    value = parse(bytes, path)
  } catch (error) {
    if (error instanceof DiskferryError && error.code === refusedCode) return { refusal: error }
    throw error
  }
  const after = await file.stat()
  if (after.mtimeNs !== before.mtimeNs || after.size !== before.size || BigInt(bytes.length) !== after.size) {
    return { refusal: new DiskferryError(refusedCode, `${path} is being written all the time; try again`) }
  }
  const age = Date.now() - Number(after.mtimeMs)
  return { value, settled: age < 0 || age > SETTLING_TIME }
}
