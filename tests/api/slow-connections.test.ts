import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { serverOptions } from '../../api/server-options.ts'
import { rawConnection } from './support/raw-request.ts'
import { ApiServer } from './support/server.ts'

/** In place of half a minute. */
const SHORT_MS = 300
/** The server looks at its connections every 5 s. */
const CLOSED_WITHIN = { timeout: 30_000 }

describe('a client that takes its time', CLOSED_WITHIN, () => {
  let server: ApiServer
  before(async () => {
    server = await ApiServer.start()
    server.app.server.headersTimeout = SHORT_MS
    server.app.server.requestTimeout = 2 * SHORT_MS
    server.app.server.keepAliveTimeout = SHORT_MS
  })
  after(() => server[Symbol.asyncDispose]())

  /** Sends text, goes on sending a little, and gives what it is told before the connection is closed. */
  async function dribble(text: string, more: string): Promise<string> {
    const socket = await rawConnection(server)
    let answer = ''
    socket.on('data', (piece: Buffer) => {
      answer += piece.toString()
    })
    socket.on('error', () => undefined)
    const closed = once(socket, 'close')
    socket.write(text)
    const drip = setInterval(() => socket.writable && socket.write(more), 50)
    await once(socket, 'end').catch(() => undefined)
    clearInterval(drip)
    socket.destroy()
    await closed
    return answer
  }

  it('over its header is told 408 and shut out', async () => {
    const answer = await dribble('GET /healthz HTTP/1.1\r\nHost: x\r\n', 'X-Slow: y\r\n')
    assert.match(answer, /^HTTP\/1\.1 408 .*"code":"INVALID_REQUEST"/s)
  })

  it('over its body is told 408 and shut out', async () => {
    const head = 'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{'
    assert.match(await dribble(head, ' '), /^HTTP\/1\.1 408 .*"code":"INVALID_REQUEST"/s)
  })

  it('before its next request is disconnected', async () => {
    const socket = await rawConnection(server)
    socket.resume()
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    await once(socket, 'close')
  })

  it('keeps nobody else from being answered', async () => {
    const idle = Array.from({ length: 50 }, () => connectTcp(server.port, '127.0.0.1'))
    try {
      await Promise.all(idle.map((socket) => once(socket, 'connect')))
      assert.equal((await server.send('/healthz')).status, 200)
    } finally {
      for (const socket of idle) socket.destroy()
    }
  })
})

it('a connection has half a minute for its handshake, its header and a minute for its request', async () => {
  const options = serverOptions({ cert: '', key: '', requireClientCertificate: false })
  assert.ok('https' in options)
  assert.equal(options.https.handshakeTimeout, 30_000)
  assert.equal(options.https.headersTimeout, 30_000)
  await using server = await ApiServer.start()
  assert.equal(server.app.server.headersTimeout, 30_000)
  assert.equal(server.app.server.requestTimeout, 60_000)
  assert.equal(server.app.server.keepAliveTimeout, 60_000)
})
