import type { BigIntStats } from 'node:fs'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { DiskferryError, describe, type ErrorCode } from '../core/errors.ts'

export interface RegularFileOptions {
  readonly maxBytes: number
  /** The code of the error when it is no regular file or has more than `maxBytes`. */
  readonly refusedCode: ErrorCode
  /** Whether the last part of the path may be a link. */
  readonly followLinks: boolean
  /** For errors, in place of the path. */
  readonly name?: string
}

/** An open regular file and what was known of it when it was opened. */
export interface RegularFile extends AsyncDisposable {
  readonly path: string
  readonly handle: FileHandle
  readonly stats: BigIntStats
  /** What is known of it now. */
  stat(): Promise<BigIntStats>
}

/**
 * Opens a file for reading. It never waits, as opening a pipe would.
 * @throws `refusedCode`; INVENTORY_UNREADABLE with the system's error as cause
 */
export async function openRegularFile(path: string, options: RegularFileOptions): Promise<RegularFile> {
  const links = options.followLinks ? 0 : constants.O_NOFOLLOW
  const name = options.name ?? path
  const handle = await system(name, () => open(path, constants.O_RDONLY | constants.O_NONBLOCK | links))
  const stat = () => system(name, () => handle.stat({ bigint: true }))
  try {
    const stats = await stat()
    if (!stats.isFile()) throw new DiskferryError(options.refusedCode, `${name} is not a regular file`)
    if (stats.size > options.maxBytes) {
      throw new DiskferryError(
        options.refusedCode,
        `${name} has ${stats.size} bytes, more than the ${options.maxBytes} that are read of such a file`,
      )
    }
    return { path: name, handle, stats, stat, [Symbol.asyncDispose]: () => handle.close() }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Its bytes up to the size it had when it was opened; fewer when it shrank. */
export async function readWhole(file: RegularFile): Promise<Buffer> {
  const bytes = Buffer.alloc(Number(file.stats.size))
  let length = 0
  while (length < bytes.length) {
    const { bytesRead } = await system(file.path, () =>
      file.handle.read(bytes, length, bytes.length - length, length),
    )
    if (bytesRead === 0) break
    length += bytesRead
  }
  return bytes.subarray(0, length)
}

async function system<T>(path: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (cause) {
    throw new DiskferryError('INVENTORY_UNREADABLE', `${path} can't be read: ${describe(cause)}`, { cause })
  }
}
