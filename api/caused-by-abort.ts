import { DiskferryError } from '../core/errors.ts'

/** A chain of causes is followed this far: errors may be made to point at themselves. */
const MAX_DEPTH = 16

/** Whether an error says no more than that the work was given up because the signal asked for it. */
export function causedByAbort(error: unknown, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted !== true) return false
  let current = error
  for (let depth = 0; depth < MAX_DEPTH && current instanceof Error; depth += 1) {
    if (current === signal.reason || current.name === 'AbortError') return true
    if (current instanceof DiskferryError && current.code === 'ABORTED') return true
    current = current.cause
  }
  return false
}
