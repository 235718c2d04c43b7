/** Servers that share nothing but a repository, as on the hosts of a cluster: one at a time changes a VM's snapshots. */

import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiClient } from '../support/api-client.ts'
import { makeDisk } from '../support/core.ts'
import { hookProgram } from '../support/hook-program.ts'
import { lockUsers } from '../support/lock-users.ts'
import { runProgram } from '../support/program.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { snapshotFolders } from '../support/snapshot-folders.ts'
import { storageTest } from '../support/storage-test.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const VM = 'vm-1'
const MIB = 1024 * 1024
const SNAPSHOTS = `/api/v1/vms/${VM}/snapshots`

storageTest(
  'xfs',
  'servers with databases of their own take turns at a VM, and orphans wait for them too',
  async ({ mount }) => {
    await using folder = await temporaryDirectory('hosts')
    const disk = await makeDisk(mount, 'disk.img', 4 * MIB, [[0, Buffer.alloc(MIB, 1)]])
    const lock = join(mount, 'CoriolisSnapshots/.locks', VM)
    const hang = join(folder.path, 'hang')
    // A snapshot takes as long as the file is there; the guest is at rest meanwhile.
    const hook = await hookProgram(
      folder.path,
      'hook',
      `if [ "$1" = before-first ]; then while [ -e '${hang}' ]; do sleep 0.02; done; fi`,
    )
    const start = (host: string) =>
      startServer({
        directory: join(folder.path, host),
        extraConfig: configuration(mount, disk, host, hook.path),
      })
    const first = await start('first')
    await using _first = first
    await using second = await start('second')
    await using one = await connected(first)
    await using two = await connected(second)
    const create = async (client: ApiClient) => (await client.createSnapshot(VM)).id

    await writeFile(hang, '')
    const made = create(one)
    await hook.called(1)
    const waiting = create(two)
    await lockUsers(lock, 2)
    await rm(hang)
    const ids = [await made, await waiting]
    const calls = ['before-first', 'after-first', 'before-second', 'after-second'].map((call) => `<${call}>`)
    assert.deepEqual(await hook.calls(), calls)

    await writeFile(hang, '')
    const third = create(one)
    await hook.called(5)
    const unfinished = (await snapshotFolders(mount)).find((id) => !ids.includes(id))!
    const removing = runProgram('orphans', 'remove', unfinished, '--config', second.configFile)
    await lockUsers(lock, 2)
    await rm(hang)
    assert.equal(await third, unfinished)
    const { code, stderr } = await removing
    assert.equal(code, 1)
    assert.match(stderr, /can't be removed: another server has finished it meanwhile, it was unfinished/)
    const content = await readFile(disk)
    assert.ok((await readFile(join(mount, 'CoriolisSnapshots', unfinished, 'disk.img'))).equals(content))

    const adopted = await runProgram('orphans', 'adopt', unfinished, '--config', second.configFile)
    assert.equal(adopted.code, 0, adopted.stderr)
    const whole = await runProgram('orphans', 'remove', ids[0]!, '--config', second.configFile)
    assert.equal(whole.code, 0, whole.stderr)
    assert.deepEqual(await snapshotFolders(mount), [ids[1]!, unfinished].sort())

    await writeFile(hang, '')
    const killed = one.call('POST', SNAPSHOTS).catch(() => undefined)
    await hook.called(7)
    const inherited = create(two)
    await lockUsers(lock, 2)
    await first.kill()
    await killed
    await inherited
    assert.deepEqual((await hook.calls()).slice(6), ['<before-first>', '<before-second>', '<after-second>'])
    await rm(hang)
    assert.deepEqual(await readdir(join(mount, 'CoriolisSnapshots/.locks')), [VM])
  },
)

storageTest(
  'xfs',
  'a snapshot that another server was killed at deleting is not served, compared or leased, and can be deleted',
  async ({ mount }) => {
    await using folder = await temporaryDirectory('hosts')
    const disk = await makeDisk(mount, 'disk.img', 4 * MIB, [[0, Buffer.alloc(MIB, 1)]])
    const start = (host: string) =>
      startServer({
        directory: join(folder.path, host),
        extraConfig: configuration(mount, disk, host, '/bin/true'),
      })
    const first = await start('first')
    await using _first = first
    await using one = await connected(first)
    const doomed = (await one.createSnapshot(VM)).id
    const kept = (await one.createSnapshot(VM)).id
    // Its database is new: it takes in what lies in the repository.
    await using second = await start('second')
    await using two = await connected(second)
    assert.deepEqual(await states(two), [`${doomed} ready`, `${kept} ready`])

    await first.arm('remove.retired')
    await assert.rejects(one.call('DELETE', `${SNAPSHOTS}/${doomed}`))
    assert.equal(await first.ended, 'SIGKILL')
    assert.deepEqual(await states(two), [`${doomed} damaged`, `${kept} ready`])
    const lease = `${SNAPSHOTS}/${doomed}/lease`
    const body = '{"ttl": "1h", "holder": "chain"}'
    for (const [method, path, what] of [
      ['GET', `${SNAPSHOTS}/${doomed}`, /a server has begun to delete/],
      ['GET', `${SNAPSHOTS}/${kept}?compareTo=${doomed}`, /a server has begun to delete/],
      ['GET', `${SNAPSHOTS}/${doomed}/disks/disk.img`, /a server has begun to delete/],
      ['PUT', lease, /can't be leased: a server has begun to delete it/],
    ] as const) {
      const answer = await two.call(method, path, method === 'PUT' ? { body } : {})
      assert.match(await answer.body.text(), what, path)
      assert.equal(answer.statusCode, 409, path)
    }
    assert.deepEqual((await readdir(join(mount, 'CoriolisSnapshots', doomed))).sort(), [
      '.snapshot.json.deleting',
      'disk.img',
    ])
    await two.json('PUT', `${SNAPSHOTS}/${kept}/lease`, { body })
    await two.json('DELETE', `${SNAPSHOTS}/${kept}/lease`)

    await two.deleteSnapshot(VM, doomed)
    assert.deepEqual(await states(two), [`${kept} ready`])
    // What it recovers is gone already.
    await using again = await start('first')
    await using three = await connected(again)
    assert.deepEqual(await states(three), [`${kept} ready`])
    assert.deepEqual(await snapshotFolders(mount), [kept])
  },
)

/** Of the snapshots, oldest first, as the list of them tells. */
async function states(client: ApiClient): Promise<readonly string[]> {
  const list = (await client.json('GET', SNAPSHOTS)) as { readonly id: string; readonly state: string }[]
  return list.map(({ id, state }) => `${id} ${state}`)
}

async function connected(server: TestServer): Promise<ApiClient> {
  const client = new ApiClient(server)
  await client.login()
  return client
}

function configuration(mount: string, disk: string, host: string, hook: string): string {
  const text = JSON.stringify
  return `[quiesce]
before = ${text([hook, `before-${host}`])}
after = ${text([hook, `after-${host}`])}

[[static.repositories]]
id = "r1"
mount_point = ${text(mount)}

[[static.vms]]
name = "${VM}"
uuid = "7b1ea2c4-5b0f-4f6e-9d53-0d7c3a1f2e10"
disks = [{ path = ${text(disk)}, device_name = "xvda" }]
`
}
