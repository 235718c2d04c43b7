import { DiskferryError } from '../../core/errors.ts'
import type { Inventory, InventoryListing, Repository, VirtualMachine, VmDisk } from '../../core/inventory.ts'
import { parseDiskDevice, parseDiskMode } from '../disk-attributes.ts'

export interface StaticInventoryOptions {
  readonly repositories: readonly { readonly id: string; readonly mountPoint: string }[]
  readonly vms: readonly StaticVm[]
}

export interface StaticVm {
  readonly name: string
  readonly uuid: string
  readonly friendlyName: string
  readonly disks: readonly StaticDisk[]
}

export interface StaticDisk {
  /** An absolute path, or a path with a scheme: `phy:/dev/sdb`. */
  readonly path: string
  /** `xvda`, or `xvdc:cdrom`. */
  readonly deviceName: string
  /** `w`, `w!` or `r`. */
  readonly mode: string
}

/** Repositories and machines as the configuration names them. */
export class StaticInventory implements Inventory {
  readonly name = 'static'
  readonly #listing: InventoryListing

  /** @throws CONFIG_INVALID */
  constructor(options: StaticInventoryOptions) {
    this.#listing = {
      repositories: options.repositories.map(
        ({ id, mountPoint }): Repository => ({ id, mountPoint, alias: '' }),
      ),
      vms: options.vms.map(toVirtualMachine),
      problems: [],
    }
  }

  async read(): Promise<InventoryListing> {
    return this.#listing
  }
}

function toVirtualMachine({ name, uuid, friendlyName, disks }: StaticVm): VirtualMachine {
  return { name, uuid, friendlyName, disks: disks.map((disk) => toVmDisk(name, disk)) }
}

function toVmDisk(vm: string, disk: StaticDisk): VmDisk {
  const scheme = /^([A-Za-z][\w+.-]*):/.exec(disk.path)
  const device = parseDiskDevice(disk.deviceName)
  const mode = parseDiskMode(disk.mode)
  if (device !== undefined && mode !== undefined) {
    return { scheme: scheme?.[1] ?? 'file', path: disk.path.slice(scheme?.[0].length ?? 0), ...device, mode }
  }
  const wrong =
    device === undefined
      ? `device_name ${JSON.stringify(disk.deviceName)}`
      : `mode ${JSON.stringify(disk.mode)}`
  throw new DiskferryError(
    'CONFIG_INVALID',
    `static.vms: VM ${vm}, disk ${disk.path}: ${wrong} can't be used`,
  )
}
