import { type BackendManifest, type FilesystemFeature, systemCode } from 'diskferry/core'

/** Every feature of the contract, once. */
export const FILESYSTEM_FEATURES: readonly FilesystemFeature[] = Object.keys({
  'punch-hole': true,
  'zero-range': true,
  preallocate: true,
  'keep-size': true,
  deduplicate: true,
  'clone-range': true,
  defragment: true,
} satisfies Record<FilesystemFeature, true>) as FilesystemFeature[]

/** What the kernel answers when a filesystem has no such operation; ENOTTY is ioctl(2)'s word for it. */
const REFUSALS: ReadonlySet<string | undefined> = new Set(['EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'ENOTTY'])

/** The mount refused an operation: a skip where the manifest foretold it, else a failure. */
export class FeatureRefused extends Error {
  readonly feature: FilesystemFeature

  constructor(feature: FilesystemFeature, cause: unknown) {
    super(`this mount refuses ${feature}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
    this.name = 'FeatureRefused'
    this.feature = feature
  }
}

/** @throws FeatureRefused when the filesystem has no such operation; any other error as it is */
export async function attempt<T>(feature: FilesystemFeature, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (REFUSALS.has(systemCode(error))) throw new FeatureRefused(feature, error)
    throw error
  }
}

/** The manifest's reason why its filesystem may lack a feature; undefined when it promises the feature. */
export function declaredReason(manifest: BackendManifest, feature: FilesystemFeature): string | undefined {
  return manifest.unsupported?.[feature]
}
