import type { Mount } from './storage-backend.ts'

/** Reads what is mounted now. Implemented by the native layer. */
export interface MountTable {
  /** Every mount this process sees, in the kernel's order: a later one may hide an earlier one. */
  list(): Promise<readonly Mount[]>
}
