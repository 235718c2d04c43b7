import {
  BACKEND_API_VERSION,
  type BackendManifest,
  type CompatibilityReport,
  type CompatibilityTarget,
  type DiffOptions,
  type DiffResult,
  type ExtentBatch,
  physicalDiff,
  type StorageBackend,
  trialClone,
} from 'diskferry/core'
import { cloneFile, copyNoCowFlag, fiemapExtents } from 'diskferry/native'

/** btrfs. FIEMAP's addresses are btrfs's logical ones, one space for all devices of the filesystem. */
export class BtrfsBackend implements StorageBackend {
  readonly manifest: BackendManifest = {
    name: 'btrfs',
    apiVersion: BACKEND_API_VERSION,
    description: 'btrfs: FICLONE, FIEMAP, differences by address, compressed and inline extents by content',
    filesystems: ['btrfs'],
    difference: 'physical',
  }

  checkCompatibility(target: CompatibilityTarget, signal?: AbortSignal): Promise<CompatibilityReport> {
    return trialClone(this.clone, target.trialDirectory, undefined, signal)
  }

  clone(source: string, target: string, signal?: AbortSignal): Promise<void> {
    return cloneFile(source, target, signal, copyNoCowFlag)
  }

  extentMap(file: string, signal?: AbortSignal): AsyncIterable<ExtentBatch> {
    return fiemapExtents(file, signal)
  }

  diff(base: string, target: string, options: DiffOptions, signal?: AbortSignal): Promise<DiffResult> {
    return physicalDiff({ base, target, extentMap: fiemapExtents }, options, signal)
  }
}
