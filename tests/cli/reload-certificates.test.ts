import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from 'node:tls'
import { ApiClient } from '../support/api-client.ts'
import { type CertificateFiles, makeCertificate } from '../support/certificate.ts'
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

/** What somebody hears who shows this certificate, or none. */
async function heardWith(
  server: TestServer,
  trusted: string,
  shown?: { readonly cert: string; readonly key: string },
): Promise<string> {
  const port = Number(new URL(server.baseUrl).port)
  const socket = connect({ host: '127.0.0.1', port, ca: trusted, ...shown })
  let heard = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    heard += text
  })
  // The end of a connection that is refused may come as an error of any kind.
  socket.on('error', () => undefined)
  socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  if (!socket.closed) await new Promise((settle) => socket.once('close', settle))
  return heard.split('\r\n', 1)[0]!
}

const NO_VMS = `[[static.repositories]]
id = "r1"
mount_point = "/nowhere"
`

async function pairOf({ certificate, key }: Pick<CertificateFiles, 'certificate' | 'key'>) {
  return { cert: await readFile(certificate, 'utf8'), key: await readFile(key, 'utf8') }
}

test('where certificates are required nobody is heard without one, before SIGHUP and after it', async () => {
  await using directory = await temporaryDirectory('required')
  const folder = join(directory.path, 'server')
  await using server = await startServer({
    directory: folder,
    extraConfig: NO_VMS,
    clientCertificates: 'required',
  })
  const [made, strange] = [join(directory.path, 'made'), join(directory.path, 'strange')]
  for (const path of [made, strange]) await mkdir(path)
  const stranger = await pairOf(await makeCertificate(strange))
  const old = { cert: server.ca, key: server.key }
  assert.equal(await heardWith(server, old.cert, old), 'HTTP/1.1 200 OK')
  for (const shown of [undefined, stranger]) assert.equal(await heardWith(server, old.cert, shown), '')

  const renewal = await makeCertificate(made)
  const renewed = await pairOf(renewal)
  await rename(renewal.certificate, join(folder, 'server.pem'))
  await rename(renewal.key, join(folder, 'server.key'))
  assert.match(await reload(server), /were read anew/)
  assert.equal(await heardWith(server, renewed.cert, renewed), 'HTTP/1.1 200 OK')
  for (const shown of [undefined, stranger, old]) {
    assert.equal(await heardWith(server, renewed.cert, shown), '')
  }
})

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
