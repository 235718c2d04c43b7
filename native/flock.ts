import { constants } from 'node:fs'
import { type FileHandle, lstat, open, unlink } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { callAsync, flock } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** include/uapi/asm-generic/fcntl.h */
const LOCK_EX = 2
const LOCK_NB = 4
const EWOULDBLOCK = 11
const EINTR = 4

/** Writable, because over NFS an exclusive flock is a lock for writing: flock(2). */
const OPEN_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW

const FIRST_WAIT_MS = 5
const LONGEST_WAIT_MS = 250

/**
 * An exclusive flock(2) on a file, which is created (mode 0600) when absent. The kernel gives it up when the
 * process ends, however it ends. Asked for again and again instead of waited for in the kernel: a blocked call
 * would hold a thread of the pool and could not be aborted.
 *
 * @throws the signal's reason when aborted; SystemCallError (ENOLCK, EOPNOTSUPP where there are no locks)
 */
export async function acquireFlock(path: string, signal?: AbortSignal): Promise<AsyncDisposable> {
  const handle = await openLocked(path, signal)
  return { [Symbol.asyncDispose]: () => handle.close() }
}

/**
 * The same on a file that goes when the lock is given up, for folders in which nothing may be left. Whoever waited for a
 * file that is no longer there starts over with the next one. A process that is killed leaves the file; whoever takes
 * the lock next removes it. A link in the file's place is refused (ELOOP).
 *
 * @throws as `acquireFlock`
 */
export async function acquireTransientFlock(path: string, signal?: AbortSignal): Promise<AsyncDisposable> {
  for (;;) {
    const handle = await openLocked(path, signal)
    if (await isAt(handle, path)) {
      return {
        async [Symbol.asyncDispose]() {
          try {
            await unlink(path)
          } finally {
            await handle.close()
          }
        },
      }
    }
    await handle.close()
  }
}

async function openLocked(path: string, signal: AbortSignal | undefined): Promise<FileHandle> {
  const handle = await open(path, OPEN_FLAGS, 0o600)
  try {
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      signal?.throwIfAborted()
      const { value, errno } = await callAsync(flock, handle.fd, LOCK_EX | LOCK_NB)
      if (value === 0) return handle
      if (errno !== EWOULDBLOCK && errno !== EINTR) throw new SystemCallError('flock', errno, path)
      await delay(wait, undefined, signal === undefined ? {} : { signal })
    }
  } catch (error) {
    await handle.close()
    throw signal?.aborted ? signal.reason : error
  }
}

/** Is the open file still the one of that name? */
async function isAt(handle: FileHandle, path: string): Promise<boolean> {
  try {
    const [held, found] = await Promise.all([handle.stat(), lstat(path)])
    return held.ino === found.ino && held.dev === found.dev
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
