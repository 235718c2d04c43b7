import { posix } from 'node:path'
import { DiskferryError, describe } from '../../core/errors.ts'
import type { HoldBeneath } from '../../core/held-path.ts'
import type {
  Inventory,
  InventoryListing,
  InventoryProblem,
  Repository,
  VirtualMachine,
  VmDisk,
} from '../../core/inventory.ts'
import type { MountWatches } from '../../core/mounts/mount-watches.ts'
import { isNotResponding } from '../../core/mounts/not-responding.ts'
import type { PathResolver } from '../../core/mounts/path-resolver.ts'
import { longestParent } from '../../core/repositories/paths.ts'
import { type RepositoryMetadata, readOvsMetadata } from './ovs-metadata.ts'
import { readOvsRepositories } from './ovs-repositories.ts'
import type { RepositoryPlace } from './repository-file.ts'
import { type FoundVm, readVmFolders } from './vm-folders.ts'

export interface OvsAgentInventoryOptions {
  /** The agent's database folder: /etc/ovs-agent/db on an Oracle VM Server. */
  readonly agentDbDir: string
  /** What a repository holds is opened by it. */
  readonly hold: HoldBeneath
  /** Over the mounts of the repositories. */
  readonly watches: MountWatches
}

interface ReadRepository {
  readonly repository: Repository
  readonly metadata: RepositoryMetadata
  readonly found: readonly FoundVm[]
  readonly problems: readonly InventoryProblem[]
}

/** Learns repositories from the ovs-agent's database, and machines from the vm.cfg files in them. */
export class OvsAgentInventory implements Inventory {
  readonly name = 'ovs-agent'
  readonly #agentDbDir: string
  readonly #hold: HoldBeneath
  readonly #watches: MountWatches
  /** What was last read of each repository, by its id, for when it does not answer. */
  readonly #lastRead = new Map<string, ReadRepository>()

  constructor(options: OvsAgentInventoryOptions) {
    this.#agentDbDir = options.agentDbDir
    this.#hold = options.hold
    this.#watches = options.watches
  }

  async read(signal?: AbortSignal): Promise<InventoryListing> {
    const { repositories, problems } = await readOvsRepositories(this.#agentDbDir, signal)
    const resolver = await this.#watches.resolver()
    // At once, so that several that do not answer cost the patience for one.
    const read = await Promise.all(
      repositories.map((repository) => this.#readRepository(repository, resolver, signal)),
    )
    const ids = new Set(repositories.map(({ id }) => id))
    for (const id of this.#lastRead.keys()) if (!ids.has(id)) this.#lastRead.delete(id)
    const machines = new Map<string, FoundVm>()
    const duplicates: InventoryProblem[] = []
    for (const { repository, found } of read) {
      for (const candidate of found) {
        const first = machines.get(candidate.vm.name)
        if (first === undefined) machines.set(candidate.vm.name, candidate)
        else duplicates.push({ repositoryId: repository.id, message: describeDuplicate(first, candidate) })
      }
    }
    return {
      repositories,
      vms: [...machines.values()].map(({ vm }) => withObjectTypes(vm, read)),
      problems: [...problems, ...read.flatMap((repository) => repository.problems), ...duplicates],
    }
  }

  async #readRepository(
    repository: Repository,
    resolver: PathResolver,
    signal: AbortSignal | undefined,
  ): Promise<ReadRepository> {
    const { id, mountPoint } = repository
    try {
      const root = await rootOf(mountPoint, resolver)
      const place = { mountPoint, root, resolver, hold: this.#hold }
      const work = (either: AbortSignal) => readRepository(repository, place, either)
      const read = await this.#watches.run([root], work, signal)
      this.#lastRead.set(id, read)
      return read
    } catch (error) {
      if (!isNotResponding(error)) throw error
      const { metadata, found } = this.#lastRead.get(id) ?? { metadata: new Map(), found: [] }
      const known =
        found.length > 0 ? 'its machines are shown as they were before' : 'its machines are not known'
      const problem = {
        repositoryId: id,
        message: `${describe(error)}; ${known}`,
        notResponding: true,
      } as const
      return { repository, metadata, found, problems: [problem] }
    }
  }
}

/** Without links, as far as there is such a folder: what is missing is told by who reads it. */
async function rootOf(mountPoint: string, resolver: PathResolver): Promise<string> {
  try {
    return await resolver.resolve(mountPoint)
  } catch (error) {
    if (error instanceof DiskferryError) throw error
    return mountPoint
  }
}

async function readRepository(
  repository: Repository,
  place: RepositoryPlace,
  signal: AbortSignal,
): Promise<ReadRepository> {
  const { found, problems } = await readVmFolders(place, signal)
  const all = [...problems]
  let metadata: RepositoryMetadata = new Map()
  try {
    metadata = await readOvsMetadata(place)
  } catch (error) {
    if (!(error instanceof DiskferryError)) throw error
    all.push({ message: `${error.message}; the types of the repository's disks are not known` })
  }
  return {
    repository,
    metadata,
    found,
    problems: all.map((problem) => ({ repositoryId: repository.id, ...problem })),
  }
}

function describeDuplicate(first: FoundVm, second: FoundVm): string {
  return `${second.path} names its machine ${first.vm.name}, as ${first.path} does; only the latter is used`
}

function withObjectTypes(vm: VirtualMachine, read: readonly ReadRepository[]): VirtualMachine {
  return { ...vm, disks: vm.disks.map((disk) => withObjectType(disk, read)) }
}

function withObjectType(disk: VmDisk, read: readonly ReadRepository[]): VmDisk {
  if (!posix.isAbsolute(disk.path)) return disk
  const owner = longestParent(read, ({ repository }) => repository.mountPoint, disk.path)
  const objectType = owner?.metadata.get(posix.basename(disk.path))?.objectType
  return objectType === undefined ? disk : { ...disk, objectType }
}
