import { constants } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { callAsync, flock } from './libc.ts'
import { openLockFile } from './open-lock-file.ts'
import { SystemCallError } from './system-call-error.ts'

/** include/uapi/asm-generic/fcntl.h */
const LOCK_EX = 2
const LOCK_NB = 4
/** A signal; another has the lock; the same as CIFS says it (STATUS_LOCK_NOT_GRANTED, fs/smb/client/smb2maperror.c). */
const TRY_AGAIN: ReadonlySet<number> = new Set([
  constants.errno.EINTR,
  constants.errno.EWOULDBLOCK,
  constants.errno.EACCES,
])

const FIRST_WAIT_MS = 5
const LONGEST_WAIT_MS = 250

/**
 * An exclusive flock(2) on a regular file, which is created (mode 0600) when absent. The kernel gives it up when the
 * process ends, however it ends. Asked for again and again instead of waited for in the kernel: a blocked call
 * would hold a thread of the pool and could not be aborted.
 *
 * @throws the signal's reason when aborted; SystemCallError (ENOLCK, EOPNOTSUPP where there are no locks)
 */
export async function acquireFlock(path: string, signal?: AbortSignal): Promise<AsyncDisposable> {
  signal?.throwIfAborted()
  const handle = await openLockFile(path)
  try {
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      const { value, errno } = await callAsync(flock, handle.fd, LOCK_EX | LOCK_NB)
      // A call on a filesystem that is slow to answer may last longer than whoever asked waits.
      signal?.throwIfAborted()
      if (value === 0) break
      if (!TRY_AGAIN.has(errno)) throw new SystemCallError('flock', errno, path)
      await delay(wait, undefined, signal === undefined ? {} : { signal })
    }
  } catch (error) {
    await handle.close()
    throw signal?.aborted ? signal.reason : error
  }
  return { [Symbol.asyncDispose]: () => handle.close() }
}
