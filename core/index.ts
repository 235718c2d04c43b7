/** What the author of a storage backend imports. */
export { DiskferryError, type DiskferryErrorOptions, ERROR_CODES, type ErrorCode } from './errors.ts'
export * from './storage-backend.ts'
