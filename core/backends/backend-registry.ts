import { DiskferryError, describe } from '../errors.ts'
import type { BackendManifest, CompatibilityTarget, Mount, StorageBackend } from '../storage-backend.ts'
import { repositoryStateError } from './backend-failure.ts'
import { CheckedBackend } from './checked-backend.ts'
import { checkBackendShape } from './manifest-check.ts'
import { settledWithin } from './settled-within.ts'

/** The backend for a mount, or the reasons why there is none. */
export type BackendChoice =
  | { readonly backend: StorageBackend; readonly reasons: readonly []; readonly refusal?: undefined }
  | {
      readonly backend: undefined
      readonly reasons: readonly string[]
      /** REPOSITORY_FULL or REPOSITORY_READ_ONLY, where that is why the mount could not be checked. */
      readonly refusal?: DiskferryError
    }

/** One that waits for something must not keep the next from being asked. */
const CHECK_LIMIT_MS = 30_000

/** Holds the backends and chooses one for each mount by asking them. */
export class BackendRegistry {
  readonly #backends = new Map<string, StorageBackend>()
  readonly #failures: DiskferryError[] = []
  readonly #checkLimitMs: number

  /** @param checkLimitMs for each backend's check of a mount */
  constructor(checkLimitMs = CHECK_LIMIT_MS) {
    this.#checkLimitMs = checkLimitMs
  }

  /**
   * Those registered first are asked first.
   *
   * @throws BACKEND_INVALID, BACKEND_DUPLICATE
   */
  register(candidate: unknown, origin: string): void {
    const backend = checkBackendShape(candidate, origin)
    const { name } = backend.manifest
    if (this.#backends.has(name)) {
      throw new DiskferryError(
        'BACKEND_DUPLICATE',
        `the storage backend from ${origin} calls itself ${name}, and a backend of that name is already there`,
      )
    }
    this.#backends.set(name, new CheckedBackend(backend))
  }

  /** Keeps why a plugin is not here, for whoever has a mount that it might have known. */
  noteFailure(error: DiskferryError): void {
    this.#failures.push(error)
  }

  manifests(): readonly BackendManifest[] {
    return [...this.#backends.values()].map((backend) => backend.manifest)
  }

  /** By the name that a snapshot was recorded with; undefined when that plugin is no longer there. */
  get(name: string): StorageBackend | undefined {
    return this.#backends.get(name)
  }

  /** Is there any backend that knows this kind of filesystem? */
  knows(mount: Mount): boolean {
    return this.#candidates(mount).length > 0
  }

  /** The first backend for the mount's filesystem whose check finds it compatible. Throws only an abort. */
  async choose(target: CompatibilityTarget, signal?: AbortSignal): Promise<BackendChoice> {
    const candidates = this.#candidates(target.mount)
    if (candidates.length === 0)
      return { backend: undefined, reasons: [this.#unknownFilesystem(target.mount)] }
    const reasons: string[] = []
    let refusal: DiskferryError | undefined
    for (const backend of candidates) {
      const { name } = backend.manifest
      try {
        const report = await settledWithin(
          backend.checkCompatibility(target, signal),
          this.#checkLimitMs,
          () => new Error(`it was not done after ${this.#checkLimitMs / 1000} s`),
        )
        if (report.compatible) return { backend, reasons: [] }
        reasons.push(...report.reasons.map((reason) => `${name}: ${reason}`))
      } catch (error) {
        signal?.throwIfAborted()
        refusal ??= repositoryStateError(error, `${name}: the check failed`)
        reasons.push(`${name}: the check failed: ${describe(error)}`)
      }
    }
    return { backend: undefined, reasons, ...(refusal !== undefined && { refusal }) }
  }

  #candidates(mount: Mount): readonly StorageBackend[] {
    return [...this.#backends.values()].filter((backend) =>
      backend.manifest.filesystems.includes(mount.filesystem),
    )
  }

  #unknownFilesystem(mount: Mount): string {
    const known = [...new Set(this.manifests().flatMap((manifest) => manifest.filesystems))].sort().join(', ')
    const failed = this.#failures.map((error) => `; ${error.message}`).join('')
    return `no storage backend knows the filesystem ${mount.filesystem}; there are backends for ${known}${failed}`
  }
}
