import {
  BACKEND_API_VERSION,
  type BackendManifest,
  type CompatibilityReport,
  type CompatibilityTarget,
  contentDiff,
  type DiffOptions,
  type DiffResult,
  type ExtentBatch,
  type StorageBackend,
  trialClone,
} from 'diskferry/core'
import { cloneFile } from 'diskferry/native'
import { allocatedExtents } from './allocated-extents.ts'
import { explainCloneError } from './explain-clone-error.ts'
import { tooOldReason } from './protocol-version.ts'

/** NFS 4.2: the CLONE and SEEK operations of RFC 7862. */
export class Nfs42Backend implements StorageBackend {
  readonly manifest: BackendManifest = {
    name: 'nfs42',
    apiVersion: BACKEND_API_VERSION,
    description: 'NFS 4.2: CLONE through FICLONE, SEEK_DATA and SEEK_HOLE, differences by content',
    filesystems: ['nfs4', 'nfs'],
    difference: 'content',
    unsupported: {
      'keep-size': 'NFS 4.2 allocates only by growing the file: RFC 7862, ALLOCATE',
      'zero-range': 'the Linux client sends no WRITE_SAME for fallocate',
      deduplicate: 'the protocol has no such operation',
      defragment: 'only the server can move blocks',
    },
  }

  async checkCompatibility(target: CompatibilityTarget, signal?: AbortSignal): Promise<CompatibilityReport> {
    const tooOld = tooOldReason(target.mount)
    if (tooOld !== undefined) return { compatible: false, reasons: [tooOld] }
    return trialClone(cloneFile, target.trialDirectory, (error) => [explainCloneError(error)], signal)
  }

  clone(source: string, target: string, signal?: AbortSignal): Promise<void> {
    return cloneFile(source, target, signal)
  }

  extentMap(file: string, signal?: AbortSignal): AsyncIterable<ExtentBatch> {
    return allocatedExtents(file, signal)
  }

  diff(base: string, target: string, options: DiffOptions, signal?: AbortSignal): Promise<DiffResult> {
    return contentDiff({ base, target, extentMap: allocatedExtents }, options, undefined, signal)
  }
}
