import assert from 'node:assert/strict'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { writeEveryOtherBlock } from '../../conformance/guest/fragments.ts'
import { ApiClient } from '../support/api-client.ts'
import { callAnswer } from '../support/call-answer.ts'
import { makeCore, makeDisk } from '../support/core.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { staticVm } from '../support/static-vm.ts'
import { storageTest } from '../support/storage-test.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** More than the buffers of a connection take up. */
const DISK_BYTES = 32 * 1024 * 1024
const CONNECTIONS = 3
/** Some 60 ms, as is forecast where nothing was measured yet. */
const EXTENTS = 2000
const DAY_MS = 86_400_000
const WHOLE = { squash: true }
const LIMITS = `
[quiesce]
max_stall = "10ms"
on_long_stall = "refuse"

[retention]
max_age = "1h"
`

/** Two snapshots, of which the first is a day old. @returns their ids */
async function takeSnapshots(mount: string, disk: string, dbFile: string): Promise<readonly string[]> {
  await using core = await makeCore({ mounts: [mount], vms: [{ name: 'vm-1', disks: [disk] }], dbFile })
  for (let count = 0; count < 2; count++) await core.snapshots.create('vm-1', WHOLE)
  const record = await core.store.read('vm-1')
  const [first, second] = record.snapshots
  const createdAt = new Date(Date.parse(first!.createdAt) - DAY_MS).toISOString()
  await core.store.write({ ...record, snapshots: [{ ...first!, createdAt }, second!] })
  return [first!.id, second!.id]
}

/** How many of one more connections than are allowed get as far as a handshake. */
async function connectionsKept({ baseUrl, ca }: TestServer): Promise<number> {
  const sockets = Array.from({ length: CONNECTIONS + 1 }, () =>
    connect({ host: '127.0.0.1', port: Number(new URL(baseUrl).port), ca }),
  )
  const kept = await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<boolean>((settle) => {
          socket.once('secureConnect', () => settle(true)).once('close', () => settle(false))
          // The end of a connection that is refused may come as an error of any kind.
          socket.on('error', () => undefined)
        }),
    ),
  )
  for (const socket of sockets) socket.destroy()
  return kept.filter((isKept) => isKept).length
}

storageTest(
  'xfs',
  'the limits of the configuration hold on the server that is started with it',
  async ({ mount, signal }) => {
    const disk = await makeDisk(mount, 'disk.img', DISK_BYTES, [[0, Buffer.alloc(DISK_BYTES, 1)]])
    await using folder = await temporaryDirectory('limits')
    const directory = join(folder.path, 'server')
    const dbFile = join(folder.path, 'diskferry.db')
    const [old, recent] = await takeSnapshots(mount, disk, dbFile)
    await using server = await startServer({
      directory,
      dbFile,
      limits: {
        api: { connections_per_client: CONNECTIONS, downloads_per_client: 1 },
        auth: { failed_logins_per_user: 1 },
      },
      extraConfig: staticVm(mount, disk) + LIMITS,
    })
    const client = new ApiClient(server)
    // Not its own end, which waits for a download that a failure left.
    await using _left = { [Symbol.asyncDispose]: () => client.destroy() }
    await client.login()

    const deleted = await server.logged(({ audit }) => audit === 'snapshot.retention')
    assert.deepEqual([deleted['snapshot'], deleted['outcome']], [old, 'ok'])
    assert.deepEqual((await client.vms())[0]?.snapshots, [recent])

    const path = `/api/v1/vms/vm-1/snapshots/${recent}/disks/disk.img`
    const download = await client.call('GET', path)
    assert.equal(download.statusCode, 200)
    assert.equal(await callAnswer(client, 'GET', path), '429 TOO_MANY_DOWNLOADS')
    await download.body.dump({ limit: DISK_BYTES })

    const login = (password: string) =>
      callAnswer(client, 'POST', '/api/v1/auth/login', {
        body: JSON.stringify({ username: 'guessed', password }),
      })
    assert.equal(await login('wrong'), '401 LOGIN_REFUSED')
    assert.equal(await login('wrong'), '429 LOGIN_LIMITED')

    await writeEveryOtherBlock(disk, EXTENTS, signal)
    assert.match(await callAnswer(client, 'POST', '/api/v1/vms/vm-1/snapshots'), / STALL_TOO_LONG$/)

    await client.disconnect()
    let kept: number
    // What was closed before is counted until the server has noticed.
    do {
      signal.throwIfAborted()
      kept = await connectionsKept(server)
    } while (kept < CONNECTIONS)
    assert.equal(kept, CONNECTIONS)
  },
)
