import type { FileHandle } from 'node:fs/promises'
import { callAsync, syncfs } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** Writes out all that is dirty on the filesystem that holds the open file; syncfs(2). @throws SystemCallError */
export async function syncFilesystem(handle: FileHandle, path: string): Promise<void> {
  const { value, errno } = await callAsync(syncfs, handle.fd)
  if (value === -1) throw new SystemCallError('syncfs', errno, path)
}
