import { open } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { callAsync, flock } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** include/uapi/asm-generic/fcntl.h */
const LOCK_EX = 2
const LOCK_NB = 4
const EWOULDBLOCK = 11
const EINTR = 4

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
  const handle = await open(path, 'a', 0o600)
  try {
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      signal?.throwIfAborted()
      const { value, errno } = await callAsync(flock, handle.fd, LOCK_EX | LOCK_NB)
      if (value === 0) break
      if (errno !== EWOULDBLOCK && errno !== EINTR) throw new SystemCallError('flock', errno, path)
      await delay(wait, undefined, signal === undefined ? {} : { signal })
    }
  } catch (error) {
    await handle.close()
    throw signal?.aborted ? signal.reason : error
  }
  return { [Symbol.asyncDispose]: () => handle.close() }
}
