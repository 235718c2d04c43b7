import { stat } from 'node:fs/promises'
import type { BackendRegistry } from '../backends/backend-registry.ts'
import { DiskferryError, describe, systemCode } from '../errors.ts'
import type { HoldBeneath } from '../held-path.ts'
import type { Inventory, InventoryListing, InventoryProblem, Repository } from '../inventory.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import { isNotResponding } from '../mounts/not-responding.ts'
import type { PathResolver } from '../mounts/path-resolver.ts'
import type { Repositories, RepositoryView } from '../services.ts'
import type { BackendManifest, Mount, StorageBackend } from '../storage-backend.ts'
import { CompatibilityCache } from './compatibility-cache.ts'
import type { MountGuard } from './mount-guard.ts'

/** A repository with what is mounted on it and the backend that was chosen for it. */
export interface ResolvedRepository {
  readonly repository: Repository
  /** Its folder without links; null when there is no such folder. */
  readonly root: string | null
  readonly mount: Mount | null
  readonly backend: StorageBackend | null
  /** Why there is no backend; empty when there is one. */
  readonly reasons: readonly string[]
  /** REPOSITORY_NOT_RESPONDING, REPOSITORY_FULL or REPOSITORY_READ_ONLY, where that is the reason. */
  readonly refusal?: DiskferryError
}

/** Brings together what the inventory names and what the host really has mounted. */
export class RepositoryCatalogue implements Repositories {
  readonly #inventory: Inventory
  readonly #registry: BackendRegistry
  readonly #guard: MountGuard
  readonly #watches: MountWatches
  readonly #compatibility: CompatibilityCache

  constructor(
    inventory: Inventory,
    registry: BackendRegistry,
    guard: MountGuard,
    hold: HoldBeneath,
    watches: MountWatches,
  ) {
    this.#inventory = inventory
    this.#registry = registry
    this.#guard = guard
    this.#watches = watches
    this.#compatibility = new CompatibilityCache(registry, guard, hold, watches)
  }

  /** @param fresh check each mount now rather than believe a check of the last minute */
  async resolve(listing: InventoryListing, fresh: boolean): Promise<readonly ResolvedRepository[]> {
    const resolver = await this.#watches.resolver()
    return await Promise.all(
      listing.repositories.map((repository) => this.#resolveOne(repository, resolver, fresh)),
    )
  }

  async list(signal?: AbortSignal): Promise<readonly RepositoryView[]> {
    const listing = await this.#inventory.read(signal)
    const resolved = await this.resolve(listing, false)
    return resolved.map(({ repository, mount, backend, reasons }) => ({
      id: repository.id,
      alias: repository.alias,
      mountPoint: repository.mountPoint,
      filesystem: mount?.filesystem ?? null,
      source: mount?.source ?? null,
      backend: backend?.manifest.name ?? null,
      compatible: backend !== null,
      reasons,
      problems: listing.problems
        .filter((problem) => problem.repositoryId === repository.id)
        .map((problem) => problem.message),
    }))
  }

  backends(): readonly BackendManifest[] {
    return this.#registry.manifests()
  }

  async problems(signal?: AbortSignal): Promise<readonly InventoryProblem[]> {
    const { repositories, problems } = await this.#inventory.read(signal)
    const ids = new Set(repositories.map((repository) => repository.id))
    return problems.filter(({ repositoryId }) => repositoryId === undefined || !ids.has(repositoryId))
  }

  async #resolveOne(
    repository: Repository,
    resolver: PathResolver,
    fresh: boolean,
  ): Promise<ResolvedRepository> {
    const { mountPoint } = repository
    const without = (reason: string, known: Partial<ResolvedRepository> = {}): ResolvedRepository => ({
      repository,
      root: null,
      mount: null,
      backend: null,
      reasons: [reason],
      ...known,
    })
    try {
      const root = await resolver.resolve(mountPoint)
      const status = await resolver.call(root, () => stat(root))
      if (!status.isDirectory()) return without(`'${mountPoint}' is not a folder`)
      const mount = await this.#guard.mountOf(root)
      if (mount === undefined)
        return without(`nothing is mounted on '${mountPoint}': mount the repository`, { root })
      const { backend, reasons, refusal } = await this.#compatibility.choose(root, mount, fresh)
      const chosen = { repository, root, mount, backend: backend ?? null, reasons }
      return refusal === undefined ? chosen : { ...chosen, refusal }
    } catch (error) {
      if (isNotResponding(error)) return without(error.message, { refusal: error })
      if (error instanceof DiskferryError && error.code === 'REPOSITORY_NOT_MOUNTED')
        return without(error.message)
      if (systemCode(error) === 'ENOENT')
        return without(`'${mountPoint}' does not exist: mount the repository`)
      return without(`'${mountPoint}' can't be looked at: ${describe(error)}`)
    }
  }
}
