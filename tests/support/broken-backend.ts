import type { ChangedRange, Extent, StorageBackend } from '../../core/storage-backend.ts'

/** A backend that answers what a test tells it to. */
export function scriptedBackend(script: {
  readonly manifest?: Partial<StorageBackend['manifest']>
  readonly checkCompatibility?: StorageBackend['checkCompatibility']
  readonly clone?: StorageBackend['clone']
  readonly extents?: readonly (readonly Extent[])[]
  readonly ranges?: readonly (readonly ChangedRange[])[]
  readonly method?: 'physical' | 'content'
}): StorageBackend {
  return {
    manifest: {
      name: 'scripted',
      apiVersion: 1,
      description: 'answers what a test tells it to',
      filesystems: ['scripted'],
      difference: 'physical',
      ...script.manifest,
    },
    checkCompatibility: script.checkCompatibility ?? (async () => ({ compatible: true, reasons: [] })),
    clone: script.clone ?? (async () => undefined),
    async *extentMap() {
      yield* script.extents ?? []
    },
    async diff() {
      async function* ranges() {
        yield* script.ranges ?? []
      }
      return { method: script.method ?? 'physical', ranges: ranges() }
    },
  }
}
