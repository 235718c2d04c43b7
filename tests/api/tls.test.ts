import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { pino } from 'pino'
import { buildApp } from '../../api/app.ts'
import { type Certificates, makeCertificates } from './support/certificates.ts'
import { FakeServices } from './support/fake-services.ts'
import { ApiServer } from './support/server.ts'

const jwt = { secret: 'secret', timeToLiveSeconds: 60 }
const logger = pino({ level: 'silent' })

/** What a TLS client gets for `GET /healthz`: the status line, or the error. */
async function ask(server: ApiServer, options: ConnectionOptions): Promise<string> {
  const socket: TLSSocket = connect({
    host: '127.0.0.1',
    port: server.port,
    ca: server.certificates.cert,
    ...options,
  })
  let text = ''
  socket.on('data', (data: Buffer) => {
    text += data.toString()
  })
  socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  try {
    await once(socket, 'close')
  } catch (error) {
    return (error as Error).message
  }
  return text.split('\r\n', 1)[0]!
}

describe('TLS', { timeout: 60_000 }, () => {
  let server: ApiServer

  before(async () => {
    server = await ApiServer.start()
  })
  after(() => server[Symbol.asyncDispose]())

  it('speaks 1.2 and 1.3, nothing older', async () => {
    assert.equal(await ask(server, { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' }), 'HTTP/1.1 200 OK')
    assert.equal(await ask(server, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }), 'HTTP/1.1 200 OK')
    // Level 0 lets this client offer what its own library finds too old.
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
    assert.match(await ask(server, old), /alert protocol version/)
  })

  it('survives clients that do not speak it', async () => {
    await assert.rejects(fetch(`http://127.0.0.1:${server.port}/healthz`))
    assert.equal(await ask(server, {}), 'HTTP/1.1 200 OK')
    assert.deepEqual(
      server.entries().filter(({ level }) => level >= 40),
      [],
    )
  })
})

describe('client certificates', { timeout: 60_000 }, () => {
  let certificates: Certificates
  let server: ApiServer

  before(async () => {
    certificates = await makeCertificates()
    const { cert, key } = certificates
    server = await ApiServer.start({ tls: { cert, key, ca: cert, requireClientCertificate: true } })
  })
  after(() => server[Symbol.asyncDispose]())

  it('are asked for: one that the authority signed opens, none and a strange one do not', async () => {
    const ca = certificates.cert
    const { clientCert, clientKey } = certificates
    assert.equal(await ask(server, { ca, cert: clientCert, key: clientKey }), 'HTTP/1.1 200 OK')
    assert.notEqual(await ask(server, { ca }), 'HTTP/1.1 200 OK')
    const stranger = await makeCertificates()
    const strange = { ca, cert: stranger.clientCert, key: stranger.clientKey }
    assert.notEqual(await ask(server, strange), 'HTTP/1.1 200 OK')
    const told = server.entries().filter(({ msg, level }) => msg === 'connection broken off' && level === 30)
    assert.equal(told.length, 2)
  })

  it('cannot be required without an authority', async () => {
    const { cert, key } = certificates
    const { services } = new FakeServices()
    await assert.rejects(
      buildApp({ services, jwt, logger, tls: { cert, key, requireClientCertificate: true } }),
      { code: 'CONFIG_INVALID', message: /api\.tls\.ca_certificate/ },
    )
  })
})

describe('without TLS', () => {
  it('the API speaks plain HTTP', async () => {
    const { services } = new FakeServices()
    await using app = await buildApp({ services, jwt, logger })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    assert.match(url, /^http:/)
    const answer = await fetch(`${url}/healthz`)
    assert.deepEqual(await answer.json(), { status: 'ok' })
  })
})
