import { DiskferryError } from '../errors.ts'
import type { Inventory, InventoryListing, VirtualMachine } from '../inventory.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import type { RepositoryCatalogue } from '../repositories/repository-catalogue.ts'
import type { VirtualMachines, VmView } from '../services.ts'
import { diskNames } from './disk-names.ts'
import { type DiskPlan, type DiskSurroundings, planDisk } from './disk-plan.ts'

/** A VM and what a snapshot of it would do with each disk. */
export interface VmPlan {
  readonly vm: VirtualMachine
  readonly disks: readonly DiskPlan[]
  /** Why no snapshot can be taken; empty when one can. */
  readonly reasons: readonly string[]
}

/** Where the ids of a VM's snapshots are learned from. */
export interface SnapshotIds {
  /** Oldest first; empty for a VM without any. */
  idsOf(vmId: string): Promise<readonly string[]>
}

export class VmCatalogue implements VirtualMachines {
  readonly #inventory: Inventory
  readonly #repositories: RepositoryCatalogue
  readonly #guard: MountGuard
  readonly #watches: MountWatches
  readonly #snapshots: SnapshotIds

  constructor(
    inventory: Inventory,
    repositories: RepositoryCatalogue,
    guard: MountGuard,
    watches: MountWatches,
    snapshots: SnapshotIds,
  ) {
    this.#inventory = inventory
    this.#repositories = repositories
    this.#guard = guard
    this.#watches = watches
    this.#snapshots = snapshots
  }

  async list(signal?: AbortSignal): Promise<readonly VmView[]> {
    const listing = await this.#inventory.read(signal)
    const surroundings = await this.#look(listing, false)
    const views: VmView[] = []
    for (const vm of listing.vms) {
      signal?.throwIfAborted()
      views.push(await this.#view(await this.#plan(vm, surroundings)))
    }
    return views
  }

  async get(vmId: string, signal?: AbortSignal): Promise<VmView> {
    return this.#view(await this.plan(vmId, false, signal))
  }

  /** @throws VM_NOT_FOUND when it is not in the inventory now; REPOSITORY_NOT_RESPONDING, INVENTORY_UNREADABLE when that can't be known */
  async assertKnown(vmId: string, signal?: AbortSignal): Promise<void> {
    find(await this.#inventory.read(signal), vmId)
  }

  /**
   * @param fresh check each mount now rather than believe a check of the last minute
   * @throws as `assertKnown`
   */
  async plan(vmId: string, fresh: boolean, signal?: AbortSignal): Promise<VmPlan> {
    const listing = await this.#inventory.read(signal)
    const vm = find(listing, vmId)
    return this.#plan(vm, await this.#look(listing, fresh))
  }

  async #look(listing: InventoryListing, fresh: boolean): Promise<DiskSurroundings> {
    return {
      repositories: await this.#repositories.resolve(listing, fresh),
      guard: this.#guard,
      resolver: await this.#watches.resolver(),
    }
  }

  async #plan(vm: VirtualMachine, surroundings: DiskSurroundings): Promise<VmPlan> {
    const names = diskNames(vm.disks)
    const disks = await Promise.all(
      vm.disks.map((disk, index) => planDisk(disk, names[index]!, surroundings)),
    )
    const reasons = disks
      .filter((disk) => disk.blocks)
      .map(({ view }) => `disk ${view.name} (${view.deviceName}): ${view.incompatibleReason}`)
    if (reasons.length === 0 && !disks.some((disk) => disk.source !== undefined)) {
      reasons.push('it has no disk to clone')
    }
    return { vm, disks, reasons }
  }

  async #view({ vm, disks, reasons }: VmPlan): Promise<VmView> {
    return {
      name: vm.name,
      uuid: vm.uuid,
      friendlyName: vm.friendlyName,
      disks: disks.map((disk) => disk.view),
      compatible: reasons.length === 0,
      snapshotIds: await this.#snapshots.idsOf(vm.name),
    }
  }
}

function find({ vms, problems }: InventoryListing, vmId: string): VirtualMachine {
  const vm = vms.find(({ name }) => name === vmId)
  if (vm !== undefined) return vm
  const named = JSON.stringify(vmId)
  // To say of a VM that can't be seen that there is none would be to say that it was deleted.
  const silent = problems.find(({ notResponding }) => notResponding === true)
  if (silent !== undefined) {
    throw new DiskferryError(
      'REPOSITORY_NOT_RESPONDING',
      `VM ${named} is not known, but it may be one of a repository that could not be read: ${silent.message}`,
      {
        clientMessage:
          'This VM is not known now, but a repository that may have it does not answer; try again later.',
      },
    )
  }
  const hiding = problems.find(({ hides }) => hides !== undefined && (hides.vm ?? vmId) === vmId)
  if (hiding !== undefined) {
    throw new DiskferryError(
      'INVENTORY_UNREADABLE',
      `VM ${named} is not known, but it may be one that could not be read: ${hiding.message}`,
      { clientMessage: 'This VM may be there, but what describes it on the host can not be read now.' },
    )
  }
  throw new DiskferryError(
    'VM_NOT_FOUND',
    `there is no VM ${named} in the inventory; GET /api/v1/vms lists those that are`,
  )
}
