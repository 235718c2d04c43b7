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
import { allocatedExtents } from './allocated-extents.ts'
import { cloneOverSmb } from './clone-over-smb.ts'
import { explainCloneError } from './explain-clone-error.ts'

/** SMB 3 shares whose server offers FSCTL_DUPLICATE_EXTENTS_TO_FILE. */
export class CifsBackend implements StorageBackend {
  readonly manifest: BackendManifest = {
    name: 'cifs',
    apiVersion: BACKEND_API_VERSION,
    description:
      'SMB 3: duplicate-extents through FICLONE, allocated ranges through FIEMAP, differences by content',
    filesystems: ['cifs', 'smb3'],
    difference: 'content',
    unsupported: {
      deduplicate: 'the Linux client has no FIDEDUPERANGE',
      defragment: 'only the server can move blocks',
    },
  }

  checkCompatibility(target: CompatibilityTarget, signal?: AbortSignal): Promise<CompatibilityReport> {
    return trialClone(cloneOverSmb, target.trialDirectory, (error) => [explainCloneError(error)], signal)
  }

  clone(source: string, target: string, signal?: AbortSignal): Promise<void> {
    return cloneOverSmb(source, target, signal)
  }

  extentMap(file: string, signal?: AbortSignal): AsyncIterable<ExtentBatch> {
    return allocatedExtents(file, signal)
  }

  diff(base: string, target: string, options: DiffOptions, signal?: AbortSignal): Promise<DiffResult> {
    return contentDiff({ base, target, extentMap: allocatedExtents }, options, undefined, signal)
  }
}
