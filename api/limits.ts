/** What one client may ask of the server, so that none keeps the others from it. */
export interface ApiLimits {
  /** Open connections from one address. */
  readonly connectionsPerClient: number
  /** Downloads at the same time to one address. */
  readonly downloadsPerClient: number
  /** Logins from one address that may fail in a minute. */
  readonly failedLoginsPerAddress: number
  /** Logins of one user that may fail in a minute, from wherever. */
  readonly failedLoginsPerUser: number
}

/** Also those of the configuration; a test holds them equal. */
export const DEFAULT_LIMITS: ApiLimits = {
  connectionsPerClient: 256,
  downloadsPerClient: 32,
  failedLoginsPerAddress: 30,
  failedLoginsPerUser: 10,
}
