import type { Lease, LeaseRequest } from './lease.ts'
import type { ClockReading } from './lease-clock.ts'

/** A lease as it is kept: in the VM's record, and in a file beside the snapshot. */
export interface LeaseRecord extends Lease {
  readonly ttlMs: number
  /** What the clock that can't be set said at `takenAt`. */
  readonly bootId: string
  readonly bootMs: number
}

export function makeLease({ holder, ttlMs }: LeaseRequest, now: ClockReading): LeaseRecord {
  return {
    holder,
    takenAt: new Date(now.wallMs).toISOString(),
    expiresAt: new Date(now.wallMs + ttlMs).toISOString(),
    ttlMs,
    bootId: now.bootId,
    bootMs: now.bootMs,
  }
}

/**
 * Does it hold now? Within the boot in which it was taken the clock that can't be set decides, so that setting the time
 * of day neither ends a lease early nor draws it out. After a reboot, and on another host, there is only the time of day.
 */
export function isLive(lease: LeaseRecord, now: ClockReading): boolean {
  const elapsed = now.bootMs - lease.bootMs
  if (lease.bootId === now.bootId && elapsed >= 0) return elapsed < lease.ttlMs
  return now.wallMs < Date.parse(lease.expiresAt)
}

/** What clients are shown; null when it no longer holds. */
export function shownLease(lease: LeaseRecord | undefined, now: ClockReading): Lease | null {
  if (lease === undefined || !isLive(lease, now)) return null
  const { holder, takenAt, expiresAt } = lease
  return { holder, takenAt, expiresAt }
}

export function isLeaseRecord(value: unknown): value is LeaseRecord {
  const lease = value as LeaseRecord
  return (
    typeof lease === 'object' &&
    lease !== null &&
    [lease.holder, lease.takenAt, lease.expiresAt, lease.bootId].every((text) => typeof text === 'string') &&
    [lease.ttlMs, lease.bootMs, Date.parse(lease.takenAt), Date.parse(lease.expiresAt)].every(Number.isFinite)
  )
}
