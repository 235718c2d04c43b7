import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from 'node:tls'
import { ApiClient } from '../support/api-client.ts'
import { makeCertificate } from '../support/certificate.ts'
import { makeDisk } from '../support/core.ts'
import { type LogLine, startServer, type TestServer } from '../support/server.ts'
import { staticVm } from '../support/static-vm.ts'
import { storageTest } from '../support/storage-test.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** More than the buffers of a connection take up. */
const DISK_BYTES = 32 * 1024 * 1024

async function shownBy(server: TestServer): Promise<string> {
  const socket = connect({
    host: '127.0.0.1',
    port: Number(new URL(server.baseUrl).port),
    rejectUnauthorized: false,
  })
  try {
    await once(socket, 'secureConnect')
    return socket.getPeerX509Certificate()!.toString()
  } finally {
    socket.destroy()
  }
}

/** SIGHUP, and the line that it makes. */
async function reload(server: TestServer): Promise<string> {
  const before = server.logs.length
  process.kill(server.pid, 'SIGHUP')
  for (;;) {
    const line = server.logs.slice(before).find(({ msg }) => /certificates/.test(String(msg)))
    if (line !== undefined) return String(line['msg'])
    await delay(10)
  }
}

storageTest(
  'xfs',
  'SIGHUP takes the certificate anew, keeps the old one when the new can not be used, and breaks off no download',
  async ({ mount }) => {
    await using directory = await temporaryDirectory('reload')
    const folder = join(directory.path, 'server')
    const content = randomBytes(DISK_BYTES)
    const disk = await makeDisk(mount, 'disk.img', DISK_BYTES, [[0, content]])
    await using server = await startServer({ directory: folder, extraConfig: staticVm(mount, disk) })
    const client = new ApiClient(server)
    // Not its own end, which waits for a download that a failure left.
    await using _left = { [Symbol.asyncDispose]: () => client.destroy() }
    await client.login()
    const { id } = await client.createSnapshot('vm-1')
    const download = await client.call('GET', `/api/v1/vms/vm-1/snapshots/${id}/disks/disk.img`)

    const first = await shownBy(server)
    const made = join(directory.path, 'made')
    await mkdir(made)
    const { certificate, key, pem } = await makeCertificate(made)
    await rename(certificate, join(folder, 'server.pem'))
    // The key is still the old one: half of a renewal.
    assert.match(await reload(server), /can't be used, the old ones are kept: .*server\.key is not the key/)
    assert.equal(await shownBy(server), first)
    await rename(key, join(folder, 'server.key'))
    assert.match(await reload(server), /were read anew/)
    assert.equal((await shownBy(server)).trim(), pem.replaceAll('\r', '').trim())
    await writeFile(join(folder, 'server.pem'), 'broken')
    assert.match(await reload(server), /old ones are kept: .*holds no PEM certificate/)
    assert.equal((await shownBy(server)).trim(), pem.replaceAll('\r', '').trim())

    const isDownload = ({ route }: LogLine) => String(route).endsWith('/disks/:disk')
    assert.ok(!server.logs.some(isDownload), 'it is still under way')
    assert.ok(content.equals(Buffer.from(await download.body.arrayBuffer())))
  },
)
