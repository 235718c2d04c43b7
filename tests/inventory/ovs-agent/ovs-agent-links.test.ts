import assert from 'node:assert/strict'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { swapNames } from '../../support/link-swapper.ts'
import { type AgentHost, agentHost } from '../support/agent-host.ts'
import { agentInventory, inventorySummary } from '../support/agent-inventory.ts'

let host: AgentHost
beforeEach(async () => {
  host = await agentHost()
})
afterEach(() => host[Symbol.asyncDispose]())

const read = () => agentInventory(host).read()
const summary = () => inventorySummary(host)

describe('OvsAgentInventory and links', () => {
  it('follows no link from a repository to a folder of machines elsewhere', async () => {
    await host.register('a', 'b')
    const folder = (id: string) => join(host.mountPoint(id), 'VirtualMachines')
    await rm(folder('a'), { recursive: true })
    await symlink(folder('b'), folder('a'))
    await host.write('b', 'VirtualMachines/1/vm.cfg', "name = 'of-b'")
    const { vms, problems } = await summary()
    assert.deepEqual(vms, ['of-b'])
    assert.equal(problems.length, 1)
    assert.match(problems[0]!, /^a: .*\/a\/VirtualMachines can't be read: .* is a link out of its repository/)
  })

  it('never reads outside while a folder is swapped for a link', async () => {
    await host.register('a')
    const inside = await host.write('a', 'VirtualMachines/1/vm.cfg', "name = 'inside'")
    const outside = await host.write('not-registered', '1/vm.cfg', "name = 'outside'")
    const trap = join(host.mountPoint('a'), 'trap')
    await symlink(dirname(outside), trap)
    await using _swapping = await swapNames(dirname(inside), trap)
    const seen = new Set<string>()
    for (let turn = 0; turn < 100; turn++) {
      for (const { name } of (await read()).vms) seen.add(name)
    }
    assert.deepEqual([...seen], ['inside'])
  })

  it('follows links inside a repository and none out of it', async () => {
    await host.register('a', 'b')
    const outside = await host.write('b', 'outside.cfg', "name = 'outside'")
    const inside = await host.write('a', 'Templates/vm.cfg', "name = 'inside'")
    const folder = join(host.mountPoint('a'), 'VirtualMachines')
    for (const [name, target] of [
      ['1', inside],
      ['2', outside],
      ['3', '/etc/passwd'],
      ['4', './vm.cfg'],
    ] as const) {
      await mkdir(join(folder, name))
      await symlink(target, join(folder, name, 'vm.cfg'))
    }
    await mkdir(join(host.mountPoint('b'), 'folder'))
    await symlink(join(host.mountPoint('b'), 'folder'), join(folder, '5'))
    await writeFile(join(host.mountPoint('b'), 'folder', 'vm.cfg'), "name = 'elsewhere'")
    await symlink('/etc/passwd', join(host.mountPoint('a'), '.ovsmeta'))
    const { vms, problems } = await summary()
    assert.deepEqual(vms, ['inside'])
    const expected = [
      /2\/vm\.cfg is a link out/,
      /3\/vm\.cfg is a link out/,
      /4\/vm\.cfg .*ELOOP/,
      /5\/vm\.cfg is a link out/,
      /\.ovsmeta is a link out/,
    ]
    assert.equal(problems.length, expected.length, problems.join('\n'))
    for (const [index, message] of expected.entries()) assert.match(problems[index]!, message)
  })
})
