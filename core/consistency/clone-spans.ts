/** When one disk was cloned, on a monotonic clock, milliseconds: the disk's moment lies somewhere in it. */
export interface CloneSpan {
  readonly beganMs: number
  readonly endedMs: number
}

/** How long a guest that writes to any of its disks can have waited for the clones, milliseconds. */
export function stallOf(spans: readonly CloneSpan[]): number {
  if (spans.length === 0) return 0
  const began = Math.min(...spans.map(({ beganMs }) => beganMs))
  const ended = Math.max(...spans.map(({ endedMs }) => endedMs))
  return toMicrosecond(ended - began)
}

/**
 * How far apart the moments of two disks can lie at most, milliseconds; 0 for a single disk. A bound and not an
 * estimate: nobody is told at which moment of the call a filesystem takes its clone.
 */
export function skewOf(spans: readonly CloneSpan[]): number {
  let most = 0
  for (const one of spans) {
    for (const other of spans) {
      if (one !== other) most = Math.max(most, one.endedMs - other.beganMs)
    }
  }
  return toMicrosecond(most)
}

export function toMicrosecond(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
