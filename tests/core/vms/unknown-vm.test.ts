import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, it } from 'node:test'
import { BackendRegistry } from '../../../core/backends/backend-registry.ts'
import { MountGuard } from '../../../core/repositories/mount-guard.ts'
import { RepositoryCatalogue } from '../../../core/repositories/repository-catalogue.ts'
import { VmCatalogue } from '../../../core/vms/vm-catalogue.ts'
import { holdBeneath, readMounts } from '../../../native/index.ts'
import { type AgentHost, agentHost } from '../../inventory/support/agent-host.ts'
import { agentInventory } from '../../inventory/support/agent-inventory.ts'
import { makeWatches } from '../../support/watches.ts'

let host: AgentHost
let vms: VmCatalogue

beforeEach(async () => {
  host = await agentHost()
  await host.register('a')
  const inventory = agentInventory(host)
  const guard = new MountGuard({ list: readMounts }, false)
  const watches = makeWatches()
  const repositories = new RepositoryCatalogue(inventory, new BackendRegistry(), guard, holdBeneath, watches)
  vms = new VmCatalogue(inventory, repositories, guard, watches, { idsOf: async () => [] })
})
afterEach(() => host[Symbol.asyncDispose]())

it('says of a machine whose configuration cannot be read not that there is none, and of others it does', async () => {
  await host.write('a', 'VirtualMachines/broken/vm.cfg', "name = 'broken'\ndisk.append('x')")
  await host.write('a', 'VirtualMachines/good/vm.cfg', "name = 'good'")
  await vms.assertKnown('good')
  await assert.rejects(vms.assertKnown('broken'), {
    code: 'INVENTORY_UNREADABLE',
    message: /broken\/vm\.cfg, line 2/,
  })
  await assert.rejects(vms.assertKnown('other'), { code: 'VM_NOT_FOUND' })
  await mkdir(join(host.mountPoint('a'), 'VirtualMachines/empty'))
  await assert.rejects(vms.assertKnown('empty'), { code: 'VM_NOT_FOUND' })
})

it('says of no machine that there is none while the folder of all can not be read', async () => {
  const folder = join(host.mountPoint('a'), 'VirtualMachines')
  await rm(folder, { recursive: true })
  await assert.rejects(vms.assertKnown('any'), { code: 'VM_NOT_FOUND' })
  await writeFile(folder, 'not a folder')
  await assert.rejects(vms.assertKnown('any'), {
    code: 'INVENTORY_UNREADABLE',
    message: /VirtualMachines can't be read/,
  })
})
