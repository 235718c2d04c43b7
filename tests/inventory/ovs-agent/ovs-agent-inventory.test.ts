import assert from 'node:assert/strict'
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { pickleStrings } from '../../../inventory/ovs-agent/pickle-writer.ts'
import { command } from '../../support/command.ts'
import { type AgentHost, agentHost } from '../support/agent-host.ts'
import { agentInventory, inventorySummary } from '../support/agent-inventory.ts'
import { hex, makeDatabase } from '../support/berkeley-db.ts'

let host: AgentHost
beforeEach(async () => {
  host = await agentHost()
})
afterEach(() => host[Symbol.asyncDispose]())

const read = () => agentInventory(host).read()
const summary = () => inventorySummary(host)

describe('OvsAgentInventory', () => {
  it('lists the repositories and machines of a database that the agent wrote', async () => {
    const mountPoint = host.mountPoint('0004fb')
    // As Python 2 wrote it, protocol 0.
    const entry = `(dp0\nS'mount_point'\np1\nS'${mountPoint}'\np2\nsS'alias'\np3\nS'r\\xc3\\xa9po'\np4\nsS'fs_location'\np5\nS'nfs:/x'\np6\ns.`
    await makeDatabase({ path: join(host.agentDbDir, 'repository'), put: [[hex('0004fb'), hex(entry)]] })
    const system = join(mountPoint, 'VirtualDisks/system.img')
    await host.write(
      '0004fb',
      'VirtualMachines/vm-1/vm.cfg',
      `name = 'vm-1'\nuuid = 'u-1'\nOVM_simple_name = 'web'\ndisk = ['file:${system},xvda,w', ',xvdb:cdrom,r']\n`,
    )
    await host.write(
      '0004fb',
      '.ovsmeta',
      '{"system.img": {"OBJECT_TYPE": "VIRTUAL_DISK", "SIMPLE_NAME": "System"}}',
    )
    assert.deepEqual(await read(), {
      repositories: [{ id: '0004fb', mountPoint, alias: 'répo' }],
      vms: [
        {
          name: 'vm-1',
          uuid: 'u-1',
          friendlyName: 'web',
          disks: [
            {
              scheme: 'file',
              path: system,
              deviceName: 'xvda',
              cdrom: false,
              mode: 'w',
              objectType: 'VIRTUAL_DISK',
            },
            { scheme: 'file', path: '', deviceName: 'xvdb', cdrom: true, mode: 'r' },
          ],
        },
      ],
      problems: [],
    })
  })

  it('sees at the next reading what the agent and the files say then', async () => {
    const inventory = agentInventory(host)
    await host.register('a')
    assert.deepEqual((await inventory.read()).vms, [])
    await host.register('a', 'b')
    await host.write('b', 'VirtualMachines/x/vm.cfg', "name = 'x'")
    const { repositories, vms } = await inventory.read()
    assert.deepEqual(
      repositories.map(({ id, alias }) => [id, alias]),
      [
        ['a', 'alias of a'],
        ['b', 'alias of b'],
      ],
    )
    assert.deepEqual(
      vms.map(({ name }) => name),
      ['x'],
    )
  })

  it('throws only when the database of repositories cannot be read', async () => {
    await assert.rejects(
      read(),
      (error: { code?: string; message: string; cause?: { code?: string }; clientMessage?: string }) => {
        assert.equal(error.code, 'INVENTORY_UNREADABLE')
        assert.match(error.message, /ENOENT.*agent_db_dir/)
        assert.equal(error.cause?.code, 'INVENTORY_UNREADABLE')
        assert.ok(error.clientMessage !== undefined && !error.clientMessage.includes(host.agentDbDir))
        return true
      },
    )
    await writeFile(join(host.agentDbDir, 'repository'), 'garbage')
    await assert.rejects(read(), (error: { code?: string; message: string; cause?: { code?: string } }) => {
      assert.equal(error.code, 'INVENTORY_UNREADABLE')
      assert.ok(error.message.includes(join(host.agentDbDir, 'repository')))
      assert.equal(error.cause?.code, 'BERKELEY_DB_INVALID')
      return true
    })
  })

  it('stops when it is aborted', async () => {
    await host.register('a')
    const reason = new Error('enough')
    const inventory = agentInventory(host)
    await assert.rejects(inventory.read(AbortSignal.abort(reason)), reason)
  })

  it('reports a broken repository entry and goes on with the others', async () => {
    await host.register('good')
    const good = pickleStrings({ mount_point: host.mountPoint('good') })
    const entries: [string, Buffer][] = [
      ['1-hostile', Buffer.from('cos\nsystem\n(S"true"\ntR.')],
      ['2-empty', Buffer.alloc(0)],
      ['3-no-mount-point', pickleStrings({ alias: 'x' })],
      ['4-relative', pickleStrings({ mount_point: 'OVS/x' })],
      ['5-dots', pickleStrings({ mount_point: '/OVS/../etc' })],
      ['6-slashes', pickleStrings({ mount_point: '/OVS//x' })],
      ['7-control', pickleStrings({ mount_point: '/OVS/x\0' })],
      ['8/slash', good],
      ['good', good],
      ['twice', pickleStrings({ mount_point: `${host.mountPoint('good')}/` })],
    ]
    await host.writeRepositories(entries)
    await host.write('good', 'VirtualMachines/x/vm.cfg', "name = 'x'")
    const { repositories, vms, problems } = await read()
    assert.deepEqual(
      repositories.map(({ id }) => id),
      ['good'],
    )
    assert.deepEqual(
      vms.map(({ name }) => name),
      ['x'],
    )
    const expected = [
      /repository 1-hostile in .*not one of plain data/,
      /repository 2-empty in .*pickle/,
      /repository 3-no-mount-point in .* has no mount_point/,
      /"OVS\/x" of repository 4-relative in .*absolute/,
      /"\/OVS\/\.\.\/etc" of repository 5-dots/,
      /"\/OVS\/\/x" of repository 6-slashes/,
      /repository 7-control/,
      /id "8\/slash"/,
      /repository twice has the mount point of repository good/,
    ]
    assert.equal(problems.length, expected.length, JSON.stringify(problems, null, 1))
    for (const [index, message] of expected.entries()) assert.match(problems[index]!.message, message)
    assert.equal(problems[0]!.repositoryId, '1-hostile')
    assert.equal(problems[7]!.repositoryId, undefined)
  })

  it('takes a mount point with a slash behind it', async () => {
    await host.register('a')
    await host.writeRepositories([['a', pickleStrings({ mount_point: `${host.mountPoint('a')}/` })]])
    const { repositories, problems } = await read()
    assert.deepEqual(repositories, [{ id: 'a', mountPoint: host.mountPoint('a'), alias: '' }])
    assert.deepEqual(problems, [])
  })

  it('reports a repository that is not there and goes on with the others', async () => {
    await host.register('a', 'b')
    await host.write('b', 'VirtualMachines/x/vm.cfg', "name = 'x'")
    await rm(host.mountPoint('a'), { recursive: true })
    const { vms, problems } = await summary()
    assert.deepEqual(vms, ['x'])
    assert.equal(problems.length, 1)
    assert.match(problems[0]!, /^a: .*a\/VirtualMachines can't be read: ENOENT.*is the repository mounted\?$/)
  })

  it('reports each vm.cfg that is broken, missing or no file, and goes on with the others', async () => {
    await host.register('a')
    const folder = (name: string) => join(host.mountPoint('a'), 'VirtualMachines', name)
    await host.write('a', 'VirtualMachines/1-broken/vm.cfg', "name = 'broken'\ndisk.append('file:/x,xvda,w')")
    await mkdir(folder('2-empty'))
    await mkdir(join(folder('3-folder'), 'vm.cfg'), { recursive: true })
    await mkdir(folder('4-pipe'))
    await command('mkfifo', [join(folder('4-pipe'), 'vm.cfg')])
    await truncate(
      await host.write('a', 'VirtualMachines/5-large/vm.cfg', "name = 'large'\n"),
      1024 * 1024 + 1,
    )
    await host.write('a', 'VirtualMachines/6-good/vm.cfg', "name = 'good'")
    await host.write('a', 'VirtualMachines/file', 'not a folder')
    await host.write('a', 'VirtualMachines/.hidden/vm.cfg', "name = 'hidden'")
    const { vms, problems } = await summary()
    assert.deepEqual(vms, ['good'])
    const expected = [
      /^a: .*1-broken\/vm\.cfg, line 2: disk \. append/,
      /^a: .*2-empty\/vm\.cfg doesn't exist/,
      /^a: .*3-folder\/vm\.cfg is not a regular file/,
      /^a: .*4-pipe\/vm\.cfg is not a regular file/,
      /^a: .*5-large\/vm\.cfg has 1048577 bytes/,
    ]
    assert.equal(problems.length, expected.length, problems.join('\n'))
    for (const [index, message] of expected.entries()) assert.match(problems[index]!, message)
  })

  it('keeps the first of two machines of one name and names both files', async () => {
    await host.register('b', 'a')
    const first = await host.write('a', 'VirtualMachines/z/vm.cfg', "name = 'vm'\nuuid = 'first'")
    const second = await host.write('b', 'VirtualMachines/a/vm.cfg', "name = 'vm'\nuuid = 'second'")
    const third = await host.write('b', 'VirtualMachines/b/vm.cfg', "name = 'vm'\nuuid = 'third'")
    const { vms, problems } = await read()
    assert.deepEqual(
      vms.map(({ uuid }) => uuid),
      ['first'],
    )
    assert.deepEqual(problems, [
      {
        repositoryId: 'b',
        message: `${second} names its machine vm, as ${first} does; only the latter is used`,
      },
      {
        repositoryId: 'b',
        message: `${third} names its machine vm, as ${first} does; only the latter is used`,
      },
    ])
  })

  it('reads at most 10,000 folders and says so', async () => {
    await host.register('a')
    const folder = join(host.mountPoint('a'), 'VirtualMachines')
    const names = Array.from({ length: 10_001 }, (_, index) => join(folder, String(index)))
    for (let start = 0; start < names.length; start += 500) {
      await Promise.all(names.slice(start, start + 500).map((name) => mkdir(name)))
    }
    const { vms, problems } = await read()
    assert.deepEqual(vms, [])
    assert.match(problems[0]!.message, /has more than 10000 folders/)
    assert.equal(problems.length, 10_001)
  })
})
