import type { DiskView, VmView } from '../core/services.ts'

function diskJson(disk: DiskView) {
  return {
    name: disk.name,
    path: disk.path,
    device_name: disk.deviceName,
    snapshot_compatible: disk.compatible,
    mode: disk.mode,
    size: disk.size,
    backend: disk.backend,
    incompatible_reason: disk.incompatibleReason ?? null,
  }
}

/** A VM as the REST API shows it. */
export function vmJson(vm: VmView) {
  return {
    friendly_name: vm.friendlyName,
    name: vm.name,
    uuid: vm.uuid,
    disks: vm.disks.map(diskJson),
    snapshot_compatible: vm.compatible,
    snapshots: vm.snapshotIds,
  }
}
