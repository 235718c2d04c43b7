import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { type FastifyReply, fastify } from 'fastify'
import { sendStream } from '../../api/stream-answer.ts'
import { makeCertificates } from './support/certificates.ts'

const PIECE = Buffer.alloc(64 * 1024)

function* endless(): Generator<Buffer> {
  for (;;) yield PIECE
}

describe('sendStream()', { timeout: 30_000 }, () => {
  it('gives up a client that takes nothing for the time allowed', async () => {
    await using app = fastify()
    const body = Readable.from(endless())
    app.get('/', (_request, reply) => sendStream(reply, body, 200))
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => undefined)
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const closed = once(body, 'close')
    await closed
    assert.equal(body.destroyed, true)
    socket.destroy()
  })

  it('keeps a client that is slow but takes something', async () => {
    const { cert, key } = await makeCertificates()
    await using app = fastify({ https: { cert, key }, forceCloseConnections: true })
    const body = Readable.from(endless(), { objectMode: false, highWaterMark: PIECE.length })
    app.get('/', (_request, reply) => sendStream(reply as unknown as FastifyReply, body, 700))
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const socket = connectTls({ port: Number(new URL(url).port), host: '127.0.0.1', ca: cert })
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await once(socket, 'readable')
    // Being slow takes time: what has arrived, every 20 ms, for three times as long as a client may take nothing.
    for (let turn = 0; turn < 105; turn += 1) {
      socket.read()
      await sleep(20)
    }
    assert.equal(body.destroyed, false)
    socket.destroy()
    await once(body, 'close')
  })

  it('sends all of a stream that ends', async () => {
    await using app = fastify()
    app.get('/', (_request, reply) => sendStream(reply, Readable.from(['a', 'b', 'c'])))
    const answer = await app.inject('/')
    assert.equal(answer.body, 'abc')
  })
})
