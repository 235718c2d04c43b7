import { DiskferryError } from '../errors.ts'

/** Was this refused or given up because a mount gave no sign of life? */
export function isNotResponding(error: unknown): error is DiskferryError {
  return error instanceof DiskferryError && error.code === 'REPOSITORY_NOT_RESPONDING'
}
