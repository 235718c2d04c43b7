/** What the author of a storage backend imports. */
export { trialClone } from './backends/trial-clone.ts'
export {
  DiskferryError,
  type DiskferryErrorOptions,
  describe as describeError,
  ERROR_CODES,
  type ErrorCode,
  systemCode,
} from './errors.ts'
export { COMPARE_BLOCK, compareRanges } from './extents/compare-ranges.ts'
export { type ContentDiffFiles, contentDiff } from './extents/content-diff.ts'
export { DenseStretch } from './extents/dense-stretch.ts'
export { type DiffFiles, physicalDiff } from './extents/physical-diff.ts'
export { shownPath } from './held-path.ts'
export * from './storage-backend.ts'
