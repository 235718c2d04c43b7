import { DiskferryError, describe, type ErrorCode, systemCode } from '../errors.ts'

/** What a system call's error means for a repository, whichever operation met it. */
const CODE_BY_SYSTEM_CODE: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'REPOSITORY_FULL',
  EDQUOT: 'REPOSITORY_FULL',
  EROFS: 'REPOSITORY_READ_ONLY',
}

const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  REPOSITORY_FULL: 'free space in the repository, then try again',
  REPOSITORY_READ_ONLY:
    'the filesystem is read-only: look into the kernel log for the reason, then remount it',
}

const ADVICE_BY_SYSTEM_CODE: Readonly<Record<string, string>> = {
  EIO: 'the disk or the server under it fails: look into the kernel log for the reason, and mend it',
}

/** The error in one line, and what to do about it where there is nothing better to say. */
export function describeWithAdvice(error: unknown): string {
  const advice = ADVICE_BY_SYSTEM_CODE[systemCode(error) ?? '']
  return advice === undefined ? describe(error) : `${describe(error)}; ${advice}`
}

const CLIENT_MESSAGE: Readonly<Partial<Record<ErrorCode, string>>> = {
  REPOSITORY_FULL: 'The repository has no space left; nothing was changed.',
  REPOSITORY_READ_ONLY: 'The repository is mounted read-only; nothing was changed.',
}

/**
 * Gives any error of an operation on a repository's files its code, keeping it as the cause. Errors that have
 * a code of ours pass as they are; so does the reason of an abort.
 *
 * @param code what it is when the system's error does not say more
 * @param what begins the message: `backend xfs could not clone '/a' to '/b'`
 */
export function backendFailure(error: unknown, code: ErrorCode, what: string, signal?: AbortSignal): unknown {
  if (error instanceof DiskferryError) return error
  if (signal?.aborted) return new DiskferryError('ABORTED', `${what}: aborted`, { cause: error })
  const systems = systemCode(error) ?? ''
  const specific = CODE_BY_SYSTEM_CODE[systems] ?? code
  const advice = ADVICE[specific] ?? ADVICE_BY_SYSTEM_CODE[systems]
  const clientMessage = CLIENT_MESSAGE[specific]
  return new DiskferryError(
    specific,
    `${what}: ${describe(error)}${advice === undefined ? '' : `; ${advice}`}`,
    clientMessage === undefined ? { cause: error } : { cause: error, clientMessage },
  )
}
