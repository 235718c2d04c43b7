/** The tables of a configuration for one VM, `vm-1`, of one disk in one repository; with `inventory.source = "static"`. */
export function staticVm(mount: string, disk: string): string {
  return `[[static.repositories]]
id = "r1"
mount_point = ${JSON.stringify(mount)}

[[static.vms]]
name = "vm-1"
uuid = "7b1ea2c4-5b0f-4f6e-9d53-0d7c3a1f2e10"
disks = [{ path = ${JSON.stringify(disk)}, device_name = "xvda" }]
`
}
