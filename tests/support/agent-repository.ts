import { mkdir, open, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { command } from './command.ts'

export interface AgentDisk {
  /** File name under VirtualDisks: `system.img`. */
  readonly name: string
  /** `xvda`, or `xvdc:cdrom`. */
  readonly deviceName: string
  readonly mode?: 'w' | 'w!' | 'r'
  /** Bytes of the sparse file. */
  readonly size: number
}

export interface AgentVm {
  /** As the manager gives them: 32 hexadecimal digits. It names the folder and the VM. */
  readonly id: string
  readonly friendlyName: string
  readonly disks: readonly AgentDisk[]
}

export interface AgentRepository {
  readonly id: string
  readonly alias: string
  readonly mountPoint: string
}

export const EXAMPLE_REPOSITORY_ID = '0004fb0000030000e2b9c8a1f4d5367a'
export const EXAMPLE_VM_ID = '0004fb000006000037b8d41d0e2a59c6'

/**
 * Lays what the hypervisor's manager keeps in a repository: vm.cfg files, sparse disks and `.ovsmeta`.
 * @returns each disk's path by its file name
 */
export async function layRepository(
  mountPoint: string,
  vms: readonly AgentVm[],
): Promise<ReadonlyMap<string, string>> {
  const disksFolder = join(mountPoint, 'VirtualDisks')
  await mkdir(disksFolder, { recursive: true })
  const paths = new Map<string, string>()
  const metadata: Record<string, object> = {}
  for (const vm of vms) {
    for (const disk of vm.disks) {
      const path = join(disksFolder, disk.name)
      await using handle = await open(path, 'w')
      await handle.truncate(disk.size)
      paths.set(disk.name, path)
      const objectType = disk.deviceName.endsWith(':cdrom') ? 'VIRTUAL_CDROM' : 'VIRTUAL_DISK'
      metadata[disk.name] = { OBJECT_TYPE: objectType, SIMPLE_NAME: basename(disk.name, '.img') }
    }
    const folder = join(mountPoint, 'VirtualMachines', vm.id)
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'vm.cfg'), vmConfiguration(vm, paths))
  }
  await writeFile(join(mountPoint, '.ovsmeta'), JSON.stringify(metadata))
  return paths
}

/** Writes `repository` and `server` of the ovs-agent's database folder, with Debian's Python and Berkeley DB. */
export async function layAgentDatabase(
  directory: string,
  repositories: readonly AgentRepository[],
  managerIp = '192.0.2.10',
): Promise<void> {
  await mkdir(directory, { recursive: true })
  const script = fileURLToPath(new URL('agent-database.py', import.meta.url))
  const entries = repositories.map(({ id, alias, mountPoint }) => [
    id,
    {
      mount_point: mountPoint,
      manager_uuid: '0004fb00000100004f8e6cbd1a27e350',
      alias,
      version: '3.0',
      filesystem: 'ocfs2',
      fs_location: '/dev/mapper/36001405b9a2e7f4d1c30a5e8b6d7f901',
    },
  ])
  const request = { directory, repositories: Object.fromEntries(entries), server: { manager_ip: managerIp } }
  await command('/usr/bin/python3', [script], { input: JSON.stringify(request) })
}

/** With dashes, as vm.cfg has it. */
export function uuidOf(vm: Pick<AgentVm, 'id'>): string {
  return vm.id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function vmConfiguration(vm: AgentVm, paths: ReadonlyMap<string, string>): string {
  const disks = vm.disks.map(
    ({ name, deviceName, mode = 'w' }) => `'file:${paths.get(name)},${deviceName},${mode}'`,
  )
  return `vif = ['mac=00:21:f6:5a:0c:31,bridge=10c0b0e5a']
OVM_simple_name = ${pythonText(vm.friendlyName)}
disk = [${disks.join(', ')}]
uuid = '${uuidOf(vm)}'
on_reboot = 'restart'
memory = 2048
bootloader = '/usr/bin/pygrub'
name = '${vm.id}'
vcpus = 2
OVM_os_type = 'Oracle Linux 7'
`
}

function pythonText(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
