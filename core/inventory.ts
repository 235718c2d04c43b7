/** The inventory contract: where repositories and VMs are learned from. */

/** A storage repository of the hypervisor: one mount point holding VM configs and disks. */
export interface Repository {
  readonly id: string
  /** Absolute path, as the source names it; links are not resolved. */
  readonly mountPoint: string
  /** The name people know it by; empty when the source has none. */
  readonly alias: string
}

/** A disk line of a VM's configuration, before anything is known of the file behind it. */
export interface VmDisk {
  /** `file`, `phy`, `tap`, ...: what stands before the first colon. */
  readonly scheme: string
  /** What the scheme points at; for `file` an absolute path. */
  readonly path: string
  /** As the guest sees it, without `:cdrom`: `xvda`. */
  readonly deviceName: string
  readonly cdrom: boolean
  /** `w`, `w!` or `r`, as configured. */
  readonly mode: string
  /** From the repository's metadata: `VIRTUAL_DISK`, `VIRTUAL_CDROM`, ...; undefined when it is silent. */
  readonly objectType?: string
}

export interface VirtualMachine {
  /** The VM's id in the API. */
  readonly name: string
  readonly uuid: string
  readonly friendlyName: string
  readonly disks: readonly VmDisk[]
}

/** Something that could not be read; it never hides the rest. */
export interface InventoryProblem {
  /** The repository it belongs to; undefined when it concerns the whole inventory. */
  readonly repositoryId?: string
  /** What happened, to which file, and what to do. */
  readonly message: string
  /** The repository did not answer: its VMs are missing, or shown as they were when it last did. */
  readonly notResponding?: true
  /** Virtual machines that are there may be missing from the listing: the one of this id, or any. */
  readonly hides?: { readonly vm?: string }
}

export interface InventoryListing {
  readonly repositories: readonly Repository[]
  readonly vms: readonly VirtualMachine[]
  readonly problems: readonly InventoryProblem[]
}

export interface Inventory {
  /** Short name for logs: `ovs-agent`, `static`. */
  readonly name: string
  /**
   * Reads everything afresh. One broken repository or VM becomes a problem in the listing; only when nothing
   * can be known (the source itself is unreadable) it throws `INVENTORY_UNREADABLE`.
   */
  read(signal?: AbortSignal): Promise<InventoryListing>
}
