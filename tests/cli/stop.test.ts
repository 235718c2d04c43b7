import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { ApiClient } from '../support/api-client.ts'
import { makeDisk } from '../support/core.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { staticVm } from '../support/static-vm.ts'
import { storageTest } from '../support/storage-test.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** More than the buffers of a connection take up. */
const DISK_BYTES = 32 * 1024 * 1024
const REQUEST = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n'

/** Connections on which no answer is under way, each by how far it came. */
async function quietConnections({ baseUrl, ca, key }: TestServer): Promise<Readonly<Record<string, Socket>>> {
  const to = { host: '127.0.0.1', port: Number(new URL(baseUrl).port) }
  const secured = async () => {
    const socket = connectTls({ ...to, ca, cert: ca, key })
    await once(socket, 'secureConnect')
    return socket
  }
  const asking = await secured()
  asking.write(REQUEST)
  const answered = await secured()
  answered.write(`${REQUEST}\r\n`)
  await once(answered, 'data')
  const silent = connectTcp(to)
  await once(silent, 'connect')
  return { 'without a handshake': silent, 'that never asked': await secured(), asking, answered }
}

storageTest(
  'xfs',
  'a server that is told to stop ends every connection as soon as nothing is answered on it',
  async ({ mount }) => {
    const content = randomBytes(DISK_BYTES)
    const disk = await makeDisk(mount, 'disk.img', DISK_BYTES, [[0, content]])
    await using folder = await temporaryDirectory('stop')
    await using server = await startServer({
      directory: join(folder.path, 'server'),
      extraConfig: staticVm(mount, disk),
      clientCertificates: 'required',
      shutdownGrace: '30s',
    })
    const client = new ApiClient(server, server.key)
    // Not its own end, which waits for a download that a failure left.
    await using _left = { [Symbol.asyncDispose]: () => client.destroy() }
    await client.login()
    const { id } = await client.createSnapshot('vm-1')
    const download = await client.call('GET', `/api/v1/vms/vm-1/snapshots/${id}/disks/disk.img`)
    const quiet = await quietConnections(server)
    const closed = Object.entries(quiet).map(async ([what, socket]) => {
      socket.on('error', () => undefined).resume()
      if (!socket.closed) await once(socket, 'close')
      return what
    })

    const stopped = server.stop()
    assert.deepEqual(await Promise.all(closed), Object.keys(quiet))
    assert.ok(content.equals(Buffer.from(await download.body.arrayBuffer())))
    // Its connection, which the client would keep, is the last.
    assert.equal(await stopped, 0)
    const cutOff = server.logs.filter(({ msg }) => /after the grace period/.test(String(msg)))
    assert.deepEqual(cutOff, [])
  },
)
