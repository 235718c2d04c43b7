/** A signal that fires after a time, or with another signal. `using` stops its clock. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal
  /** Whether the time ran out, as against the other signal. */
  readonly expired: boolean
}

/**
 * AbortSignal.any over AbortSignal.timeout would say the same, but Node 20 may collect the pair as garbage before
 * it fires: https://github.com/nodejs/node/issues/57736
 */
export function deadline(milliseconds: number, outer?: AbortSignal): Deadline {
  const controller = new AbortController()
  let expired = false
  const timer = setTimeout(() => {
    expired = true
    controller.abort(new Error(`no answer within ${milliseconds} ms`))
  }, milliseconds)
  const follow = () => controller.abort(outer?.reason)
  if (outer?.aborted) follow()
  outer?.addEventListener('abort', follow, { once: true })
  return {
    signal: controller.signal,
    get expired() {
      return expired
    },
    [Symbol.dispose]() {
      clearTimeout(timer)
      outer?.removeEventListener('abort', follow)
    },
  }
}

/** The outcome of the work, or the signal's reason as soon as it fires; the work itself goes on unheeded. */
export function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
