import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { pickleStrings } from '../../../inventory/ovs-agent/pickle-writer.ts'
import { type AgentHost, agentHost } from '../support/agent-host.ts'
import { agentInventory, inventorySummary } from '../support/agent-inventory.ts'

let host: AgentHost
beforeEach(async () => {
  host = await agentHost()
})
afterEach(() => host[Symbol.asyncDispose]())

const read = () => agentInventory(host).read()
const summary = () => inventorySummary(host)

describe('what the inventory takes from .ovsmeta', () => {
  it('finds the type of a disk in the repository that is its longest parent', async () => {
    const outer = host.mountPoint('a')
    const ids = ['outer', 'nested', 'sibling']
    const mounts = [outer, join(outer, 'nested'), `${outer}b`]
    for (const mount of mounts) await mkdir(join(mount, 'VirtualMachines'), { recursive: true })
    await host.writeRepositories(ids.map((id, index) => [id, pickleStrings({ mount_point: mounts[index]! })]))
    for (const [index, mount] of mounts.entries()) {
      await writeFile(join(mount, '.ovsmeta'), JSON.stringify({ 'x.img': { OBJECT_TYPE: `TYPE_${index}` } }))
    }
    const paths = [
      `${mounts[0]}/VirtualDisks/x.img`,
      `${mounts[1]}/VirtualDisks/x.img`,
      `${mounts[2]}/x.img`,
      `${mounts[0]}/nested/../x.img`,
      `${mounts[0]}/y.img`,
      '/elsewhere/x.img',
    ]
    const disks = paths.map((path, index) => `'file:${path},xvd${'abcdef'[index]},w'`)
    await mkdir(join(outer, 'VirtualMachines', 'vm'))
    await writeFile(
      join(outer, 'VirtualMachines', 'vm', 'vm.cfg'),
      `name = 'vm'\ndisk = [${disks}, 'phy:x.img,xvdg,w']`,
    )
    const { vms } = await read()
    const types = vms[0]!.disks.map(({ objectType }) => objectType)
    assert.deepEqual(types, ['TYPE_0', 'TYPE_1', 'TYPE_2', 'TYPE_0', undefined, undefined, undefined])
  })

  it('lists the machines of a repository whose .ovsmeta is broken', async () => {
    await host.register('a')
    await host.write('a', 'VirtualMachines/x/vm.cfg', "name = 'x'\ndisk = ['file:/x.img,xvda,w']")
    for (const content of ['{', '[]', 'null', '"x"', '']) {
      await host.write('a', '.ovsmeta', content)
      const { vms, problems } = await summary()
      assert.deepEqual(vms, ['x'])
      assert.equal(problems.length, 1, content)
      assert.match(problems[0]!, /^a: .*\.ovsmeta is not .*types of the repository's disks are not known$/)
    }
  })
})
