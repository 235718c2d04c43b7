import { DiskferryError } from '../errors.ts'
import type { Inventory, InventoryListing, VirtualMachine } from '../inventory.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import type { RepositoryCatalogue, ResolvedRepository } from '../repositories/repository-catalogue.ts'
import type { VirtualMachines, VmView } from '../services.ts'
import { diskNames } from './disk-names.ts'
import { type DiskPlan, planDisk } from './disk-plan.ts'

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
  readonly #snapshots: SnapshotIds

  constructor(
    inventory: Inventory,
    repositories: RepositoryCatalogue,
    guard: MountGuard,
    snapshots: SnapshotIds,
  ) {
    this.#inventory = inventory
    this.#repositories = repositories
    this.#guard = guard
    this.#snapshots = snapshots
  }

  async list(signal?: AbortSignal): Promise<readonly VmView[]> {
    const listing = await this.#inventory.read(signal)
    const repositories = await this.#repositories.resolve(listing, false)
    const views: VmView[] = []
    for (const vm of listing.vms) {
      signal?.throwIfAborted()
      views.push(await this.#view(await this.#plan(vm, repositories)))
    }
    return views
  }

  async get(vmId: string, signal?: AbortSignal): Promise<VmView> {
    return this.#view(await this.plan(vmId, false, signal))
  }

  /** Is it in the inventory now? */
  async has(vmId: string, signal?: AbortSignal): Promise<boolean> {
    return find(await this.#inventory.read(signal), vmId) !== undefined
  }

  /**
   * @param fresh check each mount now rather than believe a check of the last minute
   * @throws VM_NOT_FOUND
   */
  async plan(vmId: string, fresh: boolean, signal?: AbortSignal): Promise<VmPlan> {
    const listing = await this.#inventory.read(signal)
    const vm = find(listing, vmId)
    if (vm === undefined) throw vmNotFound(vmId)
    return this.#plan(vm, await this.#repositories.resolve(listing, fresh))
  }

  async #plan(vm: VirtualMachine, repositories: readonly ResolvedRepository[]): Promise<VmPlan> {
    const names = diskNames(vm.disks)
    const disks = await Promise.all(
      vm.disks.map((disk, index) => planDisk(disk, names[index]!, repositories, this.#guard)),
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

function find(listing: InventoryListing, vmId: string): VirtualMachine | undefined {
  return listing.vms.find((vm) => vm.name === vmId)
}

export function vmNotFound(vmId: string): DiskferryError {
  return new DiskferryError(
    'VM_NOT_FOUND',
    `there is no VM ${JSON.stringify(vmId)} in the inventory; GET /api/v1/vms lists those that are`,
  )
}
