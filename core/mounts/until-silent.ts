import { isNotResponding } from './not-responding.ts'

/**
 * Does not wait for a repository that fell silent, which its watch tells by the signal: a guest must not stay at rest for
 * as long as that lasts.
 *
 * @throws what the work throws; REPOSITORY_NOT_RESPONDING
 */
export async function untilSilent<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  let leave: (() => void) | undefined
  const silent = new Promise<never>((_, reject) => {
    leave = () => {
      if (isNotResponding(signal.reason)) reject(signal.reason)
    }
    signal.addEventListener('abort', leave)
    if (signal.aborted) leave()
  })
  try {
    return await Promise.race([work, silent])
  } finally {
    signal.removeEventListener('abort', leave!)
  }
}
