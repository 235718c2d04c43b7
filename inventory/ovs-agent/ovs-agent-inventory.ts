import { posix } from 'node:path'
import { DiskferryError } from '../../core/errors.ts'
import type { HoldBeneath } from '../../core/held-path.ts'
import type {
  Inventory,
  InventoryListing,
  InventoryProblem,
  Repository,
  VirtualMachine,
  VmDisk,
} from '../../core/inventory.ts'
import { longestParent } from '../../core/repositories/paths.ts'
import { type RepositoryMetadata, readOvsMetadata } from './ovs-metadata.ts'
import { readOvsRepositories } from './ovs-repositories.ts'
import { type FoundVm, readVmFolders } from './vm-folders.ts'

export interface OvsAgentInventoryOptions {
  /** The agent's database folder: /etc/ovs-agent/db on an Oracle VM Server. */
  readonly agentDbDir: string
  /** What a repository holds is opened by it. */
  readonly hold: HoldBeneath
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

  constructor(options: OvsAgentInventoryOptions) {
    this.#agentDbDir = options.agentDbDir
    this.#hold = options.hold
  }

  async read(signal?: AbortSignal): Promise<InventoryListing> {
    const { repositories, problems } = await readOvsRepositories(this.#agentDbDir, signal)
    const read: ReadRepository[] = []
    for (const repository of repositories) {
      read.push(await readRepository(repository, this.#hold, signal))
    }
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
}

async function readRepository(
  repository: Repository,
  hold: HoldBeneath,
  signal?: AbortSignal,
): Promise<ReadRepository> {
  const folder = { mountPoint: repository.mountPoint, hold }
  const { found, problems } = await readVmFolders(folder, signal)
  const messages = [...problems]
  let metadata: RepositoryMetadata = new Map()
  try {
    metadata = await readOvsMetadata(folder)
  } catch (error) {
    if (!(error instanceof DiskferryError)) throw error
    messages.push(`${error.message}; the types of the repository's disks are not known`)
  }
  return {
    repository,
    metadata,
    found,
    problems: messages.map((message) => ({ repositoryId: repository.id, message })),
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
