/** How many and how old a VM's snapshots may be; nothing set means that all are kept. */
export interface RetentionPolicy {
  /** 1 or more. */
  readonly keepLast?: number
  /** Milliseconds. */
  readonly maxAgeMs?: number
}

export interface Expired {
  readonly id: string
  /** For the log. */
  readonly reason: string
}

/**
 * Which of a VM's finished snapshots the policy gives up, oldest first. Never the newest: a VM that had a snapshot keeps
 * one. Leases are for the caller.
 *
 * @param snapshots oldest first
 */
export function expiredSnapshots(
  snapshots: readonly { readonly id: string; readonly createdAt: string }[],
  { keepLast = Number.POSITIVE_INFINITY, maxAgeMs = Number.POSITIVE_INFINITY }: RetentionPolicy,
  nowMs: number,
): readonly Expired[] {
  return snapshots.slice(0, -1).flatMap(({ id, createdAt }, index): readonly Expired[] => {
    const newer = snapshots.length - 1 - index
    if (newer >= keepLast)
      return [{ id, reason: `${newer} are newer, and retention.keep_last is ${keepLast}` }]
    const ageMs = nowMs - Date.parse(createdAt)
    if (ageMs <= maxAgeMs) return []
    return [{ id, reason: `it is ${Math.floor(ageMs / 1000)} s old, more than retention.max_age` }]
  })
}
