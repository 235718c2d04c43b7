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
import { fiemapExtents } from 'diskferry/native'
import { cloneOnOcfs2 } from './clone-on-ocfs2.ts'
import { explainCloneError } from './explain-clone-error.ts'

/** OCFS2 with the refcount feature: the filesystem of Oracle VM's repositories. */
export class Ocfs2Backend implements StorageBackend {
  readonly manifest: BackendManifest = {
    name: 'ocfs2',
    apiVersion: BACKEND_API_VERSION,
    description: 'OCFS2 with refcount: OCFS2_IOC_REFLINK, FIEMAP, differences by physical address',
    filesystems: ['ocfs2'],
    difference: 'physical',
    unsupported: {
      'clone-range': 'on a volume with clusters larger than 4 KiB only whole clusters can be shared',
      'zero-range': "OCFS2's fallocate knows only allocation and PUNCH_HOLE",
    },
  }

  checkCompatibility(target: CompatibilityTarget, signal?: AbortSignal): Promise<CompatibilityReport> {
    return trialClone(cloneOnOcfs2, target.trialDirectory, (error) => [explainCloneError(error)], signal)
  }

  clone(source: string, target: string, signal?: AbortSignal): Promise<void> {
    return cloneOnOcfs2(source, target, signal)
  }

  extentMap(file: string, signal?: AbortSignal): AsyncIterable<ExtentBatch> {
    return fiemapExtents(file, signal)
  }

  diff(base: string, target: string, options: DiffOptions, signal?: AbortSignal): Promise<DiffResult> {
    return physicalDiff({ base, target, extentMap: fiemapExtents }, options, signal)
  }
}
