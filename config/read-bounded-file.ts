import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { systemCode } from '../core/errors.ts'

export type ReadFile =
  | {
      readonly bytes: Buffer
      /** Permission bits, as in stat(2). */
      readonly mode: number
    }
  | {
      /** What kept the file from being read, and what to do: `does not exist (ENOENT); make it, or ...`. */
      readonly problem: string
    }

/** Reads a regular file of at most `maxBytes`. Never throws for what the file is. */
export async function readBoundedFile(path: string, maxBytes: number): Promise<ReadFile> {
  try {
    // Without O_NONBLOCK opening a FIFO waits for a writer, which may never come.
    await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const { mode, size } = await handle.stat()
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) {
      return { problem: 'is not a regular file; name another one' }
    }
    if (size > maxBytes) return { problem: `has ${size} bytes, more than ${maxBytes}; name another file` }
    const buffer = Buffer.alloc(size)
    let filled = 0
    for (let read = -1; read !== 0 && filled < size; filled += read) {
      read = (await handle.read(buffer, filled, size - filled, filled)).bytesRead
    }
    return { bytes: buffer.subarray(0, filled), mode: mode & 0o7777 }
  } catch (error) {
    return { problem: fileProblem(error) }
  }
}

/** A failed system call on a path in words; other errors are thrown on. */
export function fileProblem(error: unknown): string {
  const code = systemCode(error)
  if (code === undefined) throw error
  if (code === 'ENOENT' || code === 'ENOTDIR') return `does not exist (${code}); make it, or correct the path`
  if (code !== 'EACCES' && code !== 'EPERM') return `can't be used (${code}); check the path and the disk`
  return `is not allowed for this user (${code}, uid ${process.geteuid?.()}); change its owner or mode`
}
