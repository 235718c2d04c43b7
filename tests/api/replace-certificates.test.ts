import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { replaceCertificates } from '../../api/replace-certificates.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { makeCertificates } from './support/certificates.ts'
import { ApiServer } from './support/server.ts'

const MIB = 1024 * 1024
const DISK = '/api/v1/vms/0004fb0000060000ccaf98a0baa2c186/snapshots/snap-1/disks/system.img'

/** The fingerprint of what the server shows, and whether it took the client's session up again. */
async function shownBy(port: number, options: ConnectionOptions = {}) {
  const socket: TLSSocket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
  try {
    await once(socket, 'secureConnect')
    return {
      shown: socket.getPeerX509Certificate()?.raw.toString('base64'),
      reused: socket.isSessionReused(),
    }
  } finally {
    socket.destroy()
  }
}

function der(pem: string): string {
  return pem.replaceAll(/-----[^-]+-----|\s/g, '')
}

describe('certificates that are replaced', { timeout: 60_000 }, () => {
  it('are shown to the next connection, and a download under way goes on', async () => {
    await using folder = await temporaryDirectory('replace-certificates')
    await using server = await ApiServer.start()
    const content = createHash('shake256', { outputLength: 24 * MIB })
      .update('seed')
      .digest()
    const file = join(folder.path, 'disk')
    await writeFile(file, content)
    server.fake.files.set('system.img', file)
    const asked = request(`${server.url}${DISK}`, {
      ca: server.certificates.cert,
      headers: { authorization: `Bearer ${server.token}` },
      agent: false,
    })
    asked.end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    const hash = createHash('sha256')
    let received = 0
    const renewed = await makeCertificates()
    for await (const piece of answer) {
      if (received === 0) {
        const { cert, key } = renewed
        replaceCertificates(server.app.server, { cert, key, requireClientCertificate: false })
        assert.equal((await shownBy(server.port)).shown, der(cert))
      }
      hash.update(piece as Buffer)
      received += (piece as Buffer).length
    }
    assert.equal(received, content.length)
    assert.equal(hash.digest('hex'), createHash('sha256').update(content).digest('hex'))
  })

  it('that do not belong together change nothing', async () => {
    await using server = await ApiServer.start()
    const [one, other] = await Promise.all([makeCertificates(), makeCertificates()])
    for (const [cert, key] of [
      [one.cert, other.key],
      ['not a certificate', one.key],
      [one.cert, 'not a key'],
    ] as const) {
      assert.throws(() =>
        replaceCertificates(server.app.server, { cert, key, requireClientCertificate: false }),
      )
      assert.equal((await shownBy(server.port)).shown, der(server.certificates.cert))
    }
  })

  it('with another authority shut out whom only the old one knew, also by a session of before', async () => {
    const certificates = await makeCertificates()
    const { cert, key, clientCert, clientKey } = certificates
    await using server = await ApiServer.start({
      tls: { cert, key, ca: cert, requireClientCertificate: true },
    })
    const client = { cert: clientCert, key: clientKey, maxVersion: 'TLSv1.2' } as const
    let session: Buffer | undefined
    const first = connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false, ...client })
    first.on('session', (ticket: Buffer) => {
      session = ticket
    })
    first.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    first.resume()
    await once(first, 'close')
    assert.ok(session)
    assert.equal((await shownBy(server.port, { ...client, session })).reused, true)
    const { cert: ca } = await makeCertificates()
    replaceCertificates(server.app.server, { cert, key, ca, requireClientCertificate: true })
    await assert.rejects(shownBy(server.port, { ...client, session }))
  })
})
