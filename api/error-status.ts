import type { ErrorCode } from '../core/errors.ts'

export interface ErrorStatus {
  readonly status: number
  /** The `error` field of the answer. */
  readonly error: string
  /** Tells the client of a 5xx what happened where the error itself has nothing fit for a client. */
  readonly summary?: string
}

const BAD_REQUEST: ErrorStatus = { status: 400, error: 'Bad Request' }
const NOT_FOUND: ErrorStatus = { status: 404, error: 'Not Found' }
const CONFLICT: ErrorStatus = { status: 409, error: 'Conflict' }
const SERVER_ERROR: ErrorStatus = { status: 500, error: 'Server error' }

function serverError(summary: string): ErrorStatus {
  return { ...SERVER_ERROR, summary }
}

function unavailable(summary: string): ErrorStatus {
  return { status: 503, error: 'Service Unavailable', summary }
}

/** The one place where a code becomes an HTTP status. Codes that never reach HTTP are 500. */
export const ERROR_STATUS: Readonly<Record<ErrorCode, ErrorStatus>> = {
  ABORTED: serverError('The request was given up before it was done.'),
  AUDIT_LIMIT: { status: 429, error: 'Too Many Requests' },
  AUDIT_NOT_FOUND: NOT_FOUND,
  AUDIT_RUNNING: CONFLICT,
  BACKEND_CONTRACT_VIOLATED: SERVER_ERROR,
  BACKEND_DUPLICATE: SERVER_ERROR,
  BACKEND_INVALID: SERVER_ERROR,
  BERKELEY_DB_INVALID: SERVER_ERROR,
  CLONE_FAILED: serverError('A disk could not be cloned, so there is no snapshot.'),
  COMPARE_NOT_OLDER: BAD_REQUEST,
  CONFIG_INVALID: SERVER_ERROR,
  DIFF_FAILED: serverError('The two snapshots could not be compared.'),
  DISK_NOT_FOUND: NOT_FOUND,
  INTERNAL: SERVER_ERROR,
  INVALID_REQUEST: BAD_REQUEST,
  INVENTORY_UNREADABLE: unavailable('The list of virtual machines and repositories cannot be read now.'),
  LEASE_NOT_FOUND: NOT_FOUND,
  LOGIN_BUSY: { status: 429, error: 'Too Many Requests' },
  LOGIN_LIMITED: { status: 429, error: 'Too Many Requests' },
  LOGIN_REFUSED: { status: 401, error: 'Not Authorized' },
  MANAGER_CERTIFICATE_CHANGED: unavailable(
    'The OVM manager shows another certificate than before, so the password was not sent to it.',
  ),
  MANAGER_UNREACHABLE: unavailable('The OVM manager, which checks passwords, could not be asked.'),
  MAP_FAILED: serverError('The extents of a disk could not be read.'),
  ORPHAN_REFUSED: SERVER_ERROR,
  PICKLE_INVALID: SERVER_ERROR,
  PRECONDITION_FAILED: { status: 412, error: 'Precondition Failed' },
  QUIESCE_FAILED: CONFLICT,
  RANGE_NOT_SATISFIABLE: { status: 416, error: 'Range Not Satisfiable' },
  READ_FAILED: serverError('The disk of the snapshot could not be read.'),
  REPOSITORY_FULL: {
    status: 507,
    error: 'Insufficient Storage',
    summary: 'A repository has no room for the snapshot; nothing of it was kept.',
  },
  REPOSITORY_NOT_MOUNTED: unavailable('A repository that this needs is not mounted on the host.'),
  REPOSITORY_NOT_RESPONDING: unavailable('The storage of a repository that this needs does not answer.'),
  REPOSITORY_READ_ONLY: unavailable('A repository that this needs is mounted read-only.'),
  ROUTE_NOT_FOUND: NOT_FOUND,
  SNAPSHOT_DAMAGED: CONFLICT,
  SNAPSHOT_LEASED: CONFLICT,
  SNAPSHOT_NOT_FOUND: NOT_FOUND,
  STALL_TOO_LONG: CONFLICT,
  STORE_FAILED: serverError('The database of snapshots could not be read or written.'),
  TOKEN_INVALID: { status: 401, error: 'Authentication failed' },
  TOO_MANY_DOWNLOADS: { status: 429, error: 'Too Many Requests' },
  USAGE: SERVER_ERROR,
  VM_BUSY: CONFLICT,
  VM_CONFIG_INVALID: SERVER_ERROR,
  VM_NOT_COMPATIBLE: BAD_REQUEST,
  VM_NOT_FOUND: NOT_FOUND,
}
