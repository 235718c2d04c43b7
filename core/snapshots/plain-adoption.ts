import { join } from 'node:path'
import { describe } from '../errors.ts'
import type { HoldBeneath } from '../held-path.ts'
import type { InventoryListing, VirtualMachine, VmDisk } from '../inventory.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import type { RepositoryCatalogue } from '../repositories/repository-catalogue.ts'
import type { Mount } from '../storage-backend.ts'
import { diskNames } from '../vms/disk-names.ts'
import { addToIndex } from './add-to-index.ts'
import { type Orphan, refused } from './orphans.ts'
import { checkManifest } from './read-manifest.ts'
import { differenceFromRecord, type Identity, lastingIdentity } from './recorded-file.ts'
import type { Commit } from './repository-changes.ts'
import { snapshotFolder, syncFolder } from './snapshot-folder.ts'
import { ADOPTING_NAME, manifestOf, writeManifest } from './snapshot-manifest.ts'
import type { DiskRecord, SnapshotRecord } from './snapshot-record.ts'
import type { SnapshotStore } from './snapshot-store.ts'

/** Makes a snapshot of ours of files that have no `snapshot.json`, as the Coriolis OVM exporter leaves them. */
export class PlainAdoption {
  readonly #repositories: RepositoryCatalogue
  readonly #store: SnapshotStore
  readonly #watches: MountWatches
  readonly #hold: HoldBeneath

  constructor(
    repositories: RepositoryCatalogue,
    store: SnapshotStore,
    watches: MountWatches,
    hold: HoldBeneath,
  ) {
    this.#repositories = repositories
    this.#store = store
    this.#watches = watches
    this.#hold = hold
  }

  /**
   * The VM that the files may be of: they must be called like the disks that it writes, each and no other. Half a snapshot
   * is none.
   *
   * @throws ORPHAN_REFUSED
   */
  vmOf(orphan: Orphan, listing: InventoryListing, vmId: string | undefined): string {
    return chooseVm(orphan, listing, vmId).name
  }

  /**
   * To be called with the VM's locks held.
   *
   * @param vmId as of `vmOf`; asked again, since files may have come and gone
   * @throws ORPHAN_REFUSED, REPOSITORY_NOT_RESPONDING, or the system's error
   */
  async adopt(
    orphan: Orphan,
    listing: InventoryListing,
    vmId: string,
    commit: Commit,
    signal?: AbortSignal,
  ): Promise<void> {
    const vm = chooseVm(orphan, listing, vmId)
    const record = await this.#record(orphan, listing, vm)
    assertLegible(vm.name, record)
    signal?.throwIfAborted()
    for (const { home } of orphan.parts) {
      await this.#watches.run([home.root], async () => {
        await using folder = await this.#hold(home.root, snapshotFolder(home.root, orphan.id))
        await writeManifest(folder.path, vm.name, record, ADOPTING_NAME)
        await syncFolder(folder.path)
      })
    }
    await commit(() => addToIndex(this.#store, vm.name, record))
  }

  async #record(orphan: Orphan, listing: InventoryListing, vm: VirtualMachine): Promise<SnapshotRecord> {
    const resolved = await this.#repositories.resolve(listing, false)
    const parents = new Map(disksOf(vm))
    const disks: DiskRecord[] = []
    for (const { folder, home } of orphan.parts) {
      const { repository, root, mount, stamp } = home
      const { backend, reasons } = resolved.find((known) => known.repository.id === repository.id)!
      if (backend === null)
        throw refused(orphan.id, `'${repository.mountPoint}' can't be used: ${reasons.join('; ')}`)
      for (const { name, size } of folder.files) {
        const path = join(snapshotFolder(root, orphan.id), name)
        const disk: DiskRecord = {
          name,
          size,
          parentPath: parents.get(name)!.path,
          path,
          repositoryId: repository.id,
          repositoryMountPoint: repository.mountPoint,
          root,
          ...(stamp !== undefined && { repositoryStamp: stamp }),
          backend: backend.manifest.name,
        }
        disks.push({ ...disk, ...(await this.#identity(orphan.id, disk, mount)) })
      }
    }
    const times = orphan.parts.map(({ folder }) => folder.modifiedAt.getTime())
    return {
      id: orphan.id,
      state: 'ready',
      createdAt: new Date(Math.max(...times)).toISOString(),
      vmUuid: vm.uuid,
      vmFriendlyName: vm.friendlyName,
      disks,
    }
  }

  /** As of a clone of ours. What changed since the folder was looked at is not what somebody asked to adopt. */
  #identity(id: string, disk: DiskRecord, mount: Mount): Promise<Identity> {
    return this.#watches.run([disk.root], async () => {
      await using file = await this.#hold(disk.root, disk.path)
      const difference = differenceFromRecord(disk, file)
      if (difference !== undefined) throw refused(id, `its file of disk ${disk.name} ${difference}`)
      return lastingIdentity(file, mount)
    })
  }
}

function chooseVm(orphan: Orphan, { vms }: InventoryListing, vmId: string | undefined): VirtualMachine {
  const files = orphan.parts.flatMap(({ folder }) => folder.files.map(({ name }) => name))
  if (vmId === undefined) {
    const fitting = vms.filter((vm) => mismatch(vm, files) === undefined)
    if (fitting.length === 1) return fitting[0]!
    const which = fitting.map(({ name }) => name).join(', ')
    throw refused(
      orphan.id,
      fitting.length === 0
        ? `no VM has just the disks ${files.join(', ') || 'that it has, which are none'}; name one with --vm to hear what it lacks`
        : `it may be of each of the VMs ${which}: name one with --vm`,
    )
  }
  const vm = vms.find(({ name }) => name === vmId)
  if (vm === undefined) throw refused(orphan.id, `there is no VM ${JSON.stringify(vmId)}`)
  const why = mismatch(vm, files)
  if (why === undefined) return vm
  throw refused(orphan.id, why)
}

/** Why the files are not just the disks that the VM writes; undefined when they are. */
function mismatch(vm: VirtualMachine, files: readonly string[]): string | undefined {
  const names = disksOf(vm).map(([name]) => name)
  const missing = names.filter((name) => !files.includes(name))
  const strange = files.filter((name) => !names.includes(name))
  if (new Set(files).size < files.length) return 'a disk of it lies in two repositories'
  if (missing.length > 0) return `it lacks the disks ${missing.join(', ')} of VM ${vm.name}`
  if (strange.length > 0) return `VM ${vm.name} has no disks ${strange.join(', ')}`
  return names.length === 0 ? `VM ${vm.name} has no disk that it writes` : undefined
}

function disksOf({ disks }: VirtualMachine): readonly (readonly [name: string, disk: VmDisk])[] {
  const names = diskNames(disks)
  return disks
    .map((disk, index) => [names[index]!, disk] as const)
    .filter(([, { scheme, cdrom, mode }]) => scheme === 'file' && !cdrom && mode !== 'r')
}

/** A snapshot whose `snapshot.json` nobody believes would be damaged from its first moment. */
function assertLegible(vmId: string, record: SnapshotRecord): void {
  try {
    checkManifest(manifestOf(vmId, record), record.id)
  } catch (error) {
    throw refused(record.id, `its snapshot.json ${describe(error)}: rename what is called so`)
  }
}
