import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeBerkeleyDbHash } from '../../inventory/ovs-agent/berkeley-db-hash-writer.ts'
import { pickleString, pickleStrings } from '../../inventory/ovs-agent/pickle-writer.ts'
import { DemoGuest } from './demo-guest.ts'
import type { DemoStorage } from './demo-storage.ts'

const MIB = 1024 * 1024
const REPOSITORY_ID = '0004fb0000030000d3e0000000000001'
const VM_ID = '0004fb0000060000d3e0000000000002'
const VM_UUID = '0004fb00-0006-0000-d3e0-000000000002'

export interface DemoRepository {
  readonly vmId: string
  /** What an Oracle VM host has in /etc/ovs-agent/db. */
  readonly agentDbDir: string
  readonly guest: DemoGuest
}

/** A repository as Oracle VM lays it: agent database, VM configuration, metadata and two disks. */
export async function layRepository(storage: DemoStorage, signal: AbortSignal): Promise<DemoRepository> {
  const { mountPoint, work } = storage
  const agentDbDir = join(work, 'ovs-agent')
  const disksFolder = join(mountPoint, 'VirtualDisks')
  const vmFolder = join(mountPoint, 'VirtualMachines', VM_ID)
  for (const folder of [agentDbDir, disksFolder, vmFolder]) await mkdir(folder, { recursive: true })

  await writeFile(join(agentDbDir, 'repository'), repositoryDatabase(mountPoint))
  await writeFile(
    join(agentDbDir, 'server'),
    writeBerkeleyDbHash([['manager_ip', pickleString('127.0.0.1')]]),
  )
  const guest = new DemoGuest([
    { path: join(disksFolder, 'system.img'), size: 512 * MIB },
    { path: join(disksFolder, 'data.img'), size: 256 * MIB },
  ])
  await guest.install(signal)
  const [system, data] = guest.disks
  await writeFile(
    join(vmFolder, 'vm.cfg'),
    [
      `OVM_simple_name = 'demo-vm'`,
      `name = '${VM_ID}'`,
      `uuid = '${VM_UUID}'`,
      `disk = [${pythonString(`file:${system!.path},xvda,w`)},`,
      `        ${pythonString(`file:${data!.path},xvdb,w`)}]`,
      '',
    ].join('\n'),
  )
  const metadata = { OBJECT_TYPE: 'VIRTUAL_DISK' }
  await writeFile(
    join(mountPoint, '.ovsmeta'),
    JSON.stringify({
      'system.img': { ...metadata, SIMPLE_NAME: 'demo system' },
      'data.img': { ...metadata, SIMPLE_NAME: 'demo data' },
    }),
  )
  return { vmId: VM_ID, agentDbDir, guest }
}

function repositoryDatabase(mountPoint: string): Buffer {
  const value = pickleStrings({
    mount_point: mountPoint,
    manager_uuid: '0004fb0000010000d3e0000000000003',
    alias: 'demo',
    version: '3.0',
    filesystem: 'local',
    fs_location: mountPoint,
  })
  return writeBerkeleyDbHash([[REPOSITORY_ID, value]])
}

function pythonString(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`
}
