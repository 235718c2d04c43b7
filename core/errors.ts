import { nameUnnamedErrors } from './unnamed-errors.ts'

/** Stable words: a code is never renamed and never reused. docs/errors.md lists each with what to do. */
export const ERROR_CODES = [
  'ABORTED',
  'AUDIT_LIMIT',
  'AUDIT_NOT_FOUND',
  'AUDIT_RUNNING',
  'BACKEND_CONTRACT_VIOLATED',
  'BACKEND_DUPLICATE',
  'BACKEND_INVALID',
  'BERKELEY_DB_INVALID',
  'CLONE_FAILED',
  'COMPARE_NOT_OLDER',
  'CONFIG_INVALID',
  'DIFF_FAILED',
  'DISK_NOT_FOUND',
  'INTERNAL',
  'INVALID_REQUEST',
  'INVENTORY_UNREADABLE',
  'LEASE_NOT_FOUND',
  'LOGIN_BUSY',
  'LOGIN_LIMITED',
  'LOGIN_REFUSED',
  'MANAGER_CERTIFICATE_CHANGED',
  'MANAGER_UNREACHABLE',
  'MAP_FAILED',
  'ORPHAN_REFUSED',
  'PICKLE_INVALID',
  'PRECONDITION_FAILED',
  'QUIESCE_FAILED',
  'RANGE_NOT_SATISFIABLE',
  'READ_FAILED',
  'REPOSITORY_FULL',
  'REPOSITORY_NOT_MOUNTED',
  'REPOSITORY_NOT_RESPONDING',
  'REPOSITORY_READ_ONLY',
  'ROUTE_NOT_FOUND',
  'SNAPSHOT_DAMAGED',
  'SNAPSHOT_LEASED',
  'SNAPSHOT_NOT_FOUND',
  'STALL_TOO_LONG',
  'STORE_FAILED',
  'TOKEN_INVALID',
  'TOO_MANY_DOWNLOADS',
  'USAGE',
  'VM_BUSY',
  'VM_CONFIG_INVALID',
  'VM_NOT_COMPATIBLE',
  'VM_NOT_FOUND',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

export interface DiskferryErrorOptions {
  readonly cause?: unknown
  /**
   * What a remote client may read when the code maps to a 5xx answer: no host path in it. Without it the
   * client of a 5xx gets a general sentence and the request id. Codes that map to 4xx send `message`.
   */
  readonly clientMessage?: string
  /** When it is worth while to try again, for 429 and 503. */
  readonly retryAfterSeconds?: number
}

/**
 * The one error class of Diskferry. `message` is written for the administrator of the host: what happened,
 * to which VM, disk or path, and what to do. The original error is kept as `cause`.
 */
export class DiskferryError extends Error {
  readonly code: ErrorCode
  readonly clientMessage: string | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(code: ErrorCode, message: string, options: DiskferryErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'DiskferryError'
    this.code = code
    this.clientMessage = options.clientMessage
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

/**
 * The `code` of a system call error (`ENOSPC`, `EROFS`, ...), or undefined for anything else. Of several errors that of
 * the first, which the others followed from.
 */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof AggregateError) return systemCode(error.errors[0])
  if (typeof error !== 'object' || error === null || error instanceof DiskferryError) return undefined
  const { code, errno } = error as { code?: unknown; errno?: unknown }
  return typeof code === 'string' && typeof errno === 'number' ? nameUnnamedErrors(code) : undefined
}

/** One line about any thrown value, for a log or for the end of another message. */
export function describe(error: unknown): string {
  return nameUnnamedErrors(textOf(error))
}

/** A plugin of strangers may throw anything. */
function textOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error)
  } catch {
    return 'something was thrown that has no text'
  }
}
