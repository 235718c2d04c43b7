import { DiskferryError, describe, type ErrorCode, systemCode } from '../errors.ts'

interface RepositoryState {
  readonly code: ErrorCode
  readonly advice: string
  readonly clientMessage: string
}

const FULL: RepositoryState = {
  code: 'REPOSITORY_FULL',
  advice: 'free space in the repository, then try again',
  clientMessage: 'The repository has no space left; nothing was changed.',
}

const READ_ONLY: RepositoryState = {
  code: 'REPOSITORY_READ_ONLY',
  advice: 'the filesystem is read-only: look into the kernel log for the reason, then remount it',
  clientMessage: 'The repository is mounted read-only; nothing was changed.',
}

/** What a system call's error means for a repository, whichever operation met it. */
const STATES: Readonly<Record<string, RepositoryState>> = {
  ENOSPC: FULL,
  EDQUOT: FULL,
  EROFS: READ_ONLY,
}

const ADVICE_BY_SYSTEM_CODE: Readonly<Record<string, string>> = {
  EIO: 'the disk or the server under it fails: look into the kernel log for the reason, and mend it',
}

/** The error in one line, and what to do about it where there is nothing better to say. */
export function describeWithAdvice(error: unknown): string {
  const advice = ADVICE_BY_SYSTEM_CODE[systemCode(error) ?? '']
  return advice === undefined ? describe(error) : `${describe(error)}; ${advice}`
}

/**
 * REPOSITORY_FULL or REPOSITORY_READ_ONLY where that is what an error means, else undefined: of a full repository every
 * client hears the same, wherever the space ran out.
 *
 * @param what begins the message: `backend xfs could not clone '/a' to '/b'`
 */
export function repositoryStateError(error: unknown, what: string): DiskferryError | undefined {
  if (error instanceof DiskferryError)
    return [FULL, READ_ONLY].some(({ code }) => code === error.code) ? error : undefined
  const state = STATES[systemCode(error) ?? '']
  if (state === undefined) return undefined
  const { code, advice, clientMessage } = state
  return new DiskferryError(code, `${what}: ${describe(error)}; ${advice}`, { cause: error, clientMessage })
}

/**
 * Gives any error of an operation on a repository's files its code, keeping it as the cause. Errors that have
 * a code of ours pass as they are; so does the reason of an abort.
 *
 * @param code what it is when the system's error does not say more
 * @param what as for `repositoryStateError`
 */
export function backendFailure(error: unknown, code: ErrorCode, what: string, signal?: AbortSignal): unknown {
  if (error instanceof DiskferryError) return error
  if (signal?.aborted) return new DiskferryError('ABORTED', `${what}: aborted`, { cause: error })
  return (
    repositoryStateError(error, what) ??
    new DiskferryError(code, `${what}: ${describeWithAdvice(error)}`, { cause: error })
  )
}
