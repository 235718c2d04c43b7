import { stat } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { systemCode } from '../errors.ts'

/** Errors by which the kernel says that it reached nobody; any other error is an answer. */
const UNREACHABLE: ReadonlySet<string | undefined> = new Set([
  ...['EIO', 'ETIMEDOUT', 'EHOSTDOWN', 'EHOSTUNREACH', 'ENETDOWN', 'ENETUNREACH'],
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'ENOTCONN', 'EPIPE', 'EAGAIN'],
])

/** Undefined: it answers. Else what the kernel said. */
export type Sign = Error | undefined

export interface SignOfLife {
  /** `late` when patience was over first. */
  readonly inTime: Promise<Sign | 'late'>
  /** However long it takes: the call can't be taken back. */
  readonly atLast: Promise<Sign>
}

/**
 * Makes a system call that has to ask whoever keeps a mount's files, and waits for it no longer than `patienceMs`.
 * Time in which the call was not begun does not count: a pool whose threads are all busy says nothing of the mount.
 */
export function askForSign(call: () => Promise<unknown>, patienceMs: number): SignOfLife {
  const atLast = call().then(
    () => undefined,
    (error: unknown) => (UNREACHABLE.has(systemCode(error)) ? (error as Error) : undefined),
  )
  const impatience = new AbortController()
  const late = passed(patienceMs, impatience.signal)
  void atLast.then(() => impatience.abort())
  return { inTime: Promise.race([atLast, late]), atLast }
}

async function passed(milliseconds: number, signal: AbortSignal): Promise<'late'> {
  // Queued behind the call, in a queue that is served in order: when this comes back, a thread has taken the call.
  await stat('/proc/self').catch(() => undefined)
  await delay(milliseconds, undefined, { signal, ref: false }).catch(() => undefined)
  // An event loop that was held meanwhile runs this timer before it looks at the answers that came in.
  await new Promise((resolve) => setImmediate(resolve))
  return 'late'
}
