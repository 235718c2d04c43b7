import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { EXAMPLE_REPOSITORY_ID, EXAMPLE_VM_ID, layAgentDatabase, layRepository } from './agent-repository.ts'
import { command } from './command.ts'
import { temporaryDirectory } from './temporary-directory.ts'

test('the agent database holds hash files with byte strings of Python 2', async () => {
  await using directory = await temporaryDirectory('agent')
  await layAgentDatabase(directory.path, [
    { id: EXAMPLE_REPOSITORY_ID, alias: 'first', mountPoint: '/OVS/Repositories/a' },
  ])
  const dump = await command('db5.3_dump', ['-p', join(directory.path, 'repository')])
  assert.match(dump, /^type=hash$/m)
  assert.match(dump, new RegExp(`^ ${EXAMPLE_REPOSITORY_ID}$`, 'm'))
  assert.match(dump, /^ \\80\\02\}.*U\\0bmount_point.*U\\13\/OVS\/Repositories\/a/m)
  assert.match(
    await command('db5.3_dump', ['-p', join(directory.path, 'server')]),
    /manager_ip\n.*192\.0\.2\.10/,
  )
})

test('a repository has a vm.cfg that Python reads, sparse disks of odd sizes and metadata', async () => {
  await using directory = await temporaryDirectory('repository')
  const disks = [
    { name: 'system.img', deviceName: 'xvda', size: 5_000_001 },
    { name: 'data.img', deviceName: 'xvdb', mode: 'w!' as const, size: 70_000 },
  ]
  const vms = [{ id: EXAMPLE_VM_ID, friendlyName: "a person's VM", disks }]
  const paths = await layRepository(directory.path, vms)
  assert.equal((await stat(paths.get('system.img')!)).size, 5_000_001)
  const configuration = join(directory.path, 'VirtualMachines', EXAMPLE_VM_ID, 'vm.cfg')
  const script =
    'import json,sys; scope={}; exec(open(sys.argv[1]).read(), {}, scope); print(json.dumps(scope))'
  const scope = JSON.parse(await command('/usr/bin/python3', ['-c', script, configuration]))
  const { OVM_simple_name: friendlyName, disk } = scope as Record<string, unknown>
  assert.equal(friendlyName, "a person's VM")
  assert.deepEqual(disk, [`file:${paths.get('system.img')},xvda,w`, `file:${paths.get('data.img')},xvdb,w!`])
  assert.deepEqual(JSON.parse(await readFile(join(directory.path, '.ovsmeta'), 'utf8')), {
    'system.img': { OBJECT_TYPE: 'VIRTUAL_DISK', SIMPLE_NAME: 'system' },
    'data.img': { OBJECT_TYPE: 'VIRTUAL_DISK', SIMPLE_NAME: 'data' },
  })
})
