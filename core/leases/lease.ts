/** A promise that a snapshot stays until a moment: the base of a chain must not vanish while a client needs it. */
export interface Lease {
  /** Who asked for it, in the client's own words. */
  readonly holder: string
  /** ISO 8601, UTC, milliseconds, as are all times here. */
  readonly takenAt: string
  readonly expiresAt: string
}

export interface LeaseRequest {
  /** 1 to 128 characters, none of them a control character. */
  readonly holder: string
  /** Milliseconds from now, 1 second to 744 hours. */
  readonly ttlMs: number
}

/** What a deletion may do with a snapshot that is leased. */
export interface DeleteOptions {
  /** Delete it all the same; it is logged as a warning. */
  readonly force?: boolean
  /** Who wants that, for the log. */
  readonly user?: string
}

export interface Leases {
  /** @throws SNAPSHOT_NOT_FOUND, LEASE_NOT_FOUND, REPOSITORY_NOT_RESPONDING */
  get(vmId: string, snapshotId: string): Promise<Lease>
  /**
   * Takes a lease, or renews that of the same holder: it then ends `ttlMs` from now, be that sooner or later.
   *
   * @throws SNAPSHOT_NOT_FOUND, SNAPSHOT_LEASED by another, SNAPSHOT_DAMAGED, REPOSITORY_NOT_MOUNTED,
   * REPOSITORY_NOT_RESPONDING, REPOSITORY_READ_ONLY, REPOSITORY_FULL, VM_BUSY
   */
  take(vmId: string, snapshotId: string, request: LeaseRequest, signal?: AbortSignal): Promise<Lease>
  /**
   * Ends a lease; does nothing where there is none.
   *
   * @param holder when given, only the lease of this one is ended
   * @throws SNAPSHOT_NOT_FOUND, SNAPSHOT_LEASED by another than `holder`, and as `take`
   */
  release(vmId: string, snapshotId: string, holder?: string, signal?: AbortSignal): Promise<void>
}

/** Weekly and monthly chains fit; a lease that was forgotten does not keep space for ever. */
export const LEASE_TTL_MS = { least: 1000, most: 744 * 3_600_000 } as const
export const HOLDER_CHARACTERS = 128
