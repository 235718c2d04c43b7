import { open } from 'node:fs/promises'
import {
  BACKEND_API_VERSION,
  type BackendManifest,
  type CompatibilityReport,
  type CompatibilityTarget,
  contentDiff,
  type DiffOptions,
  type DiffResult,
  type ExtentBatch,
  physicalDiff,
  type StorageBackend,
  trialClone,
} from 'diskferry/core'
import { cloneFile, fiemapExtents, isRealtimeFile } from 'diskferry/native'
import { explainCloneError } from './explain-clone-error.ts'

/** XFS made with reflink=1, the default of mkfs.xfs since 5.1. */
export class XfsBackend implements StorageBackend {
  readonly manifest: BackendManifest = {
    name: 'xfs',
    apiVersion: BACKEND_API_VERSION,
    description: 'XFS with reflink: FICLONE, FIEMAP, differences by physical address',
    filesystems: ['xfs'],
    difference: 'physical',
  }

  checkCompatibility(target: CompatibilityTarget, signal?: AbortSignal): Promise<CompatibilityReport> {
    return trialClone(cloneFile, target.trialDirectory, (error) => [explainCloneError(error)], signal)
  }

  clone(source: string, target: string, signal?: AbortSignal): Promise<void> {
    return cloneFile(source, target, signal)
  }

  extentMap(file: string, signal?: AbortSignal): AsyncIterable<ExtentBatch> {
    return fiemapExtents(file, signal)
  }

  async diff(base: string, target: string, options: DiffOptions, signal?: AbortSignal): Promise<DiffResult> {
    const files = { base, target, extentMap: fiemapExtents }
    // Addresses on the realtime device are counted from its own start: the same number, another place.
    if ((await isRealtime(base)) !== (await isRealtime(target))) {
      return contentDiff(files, options, 'only one of the files is on the realtime device', signal)
    }
    return physicalDiff(files, options, signal)
  }
}

async function isRealtime(file: string): Promise<boolean> {
  await using handle = await open(file, 'r')
  // Awaited here: a bare promise would be returned only after the handle is closed.
  return await isRealtimeFile(handle, file)
}
