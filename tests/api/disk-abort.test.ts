import assert from 'node:assert/strict'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { READ_BYTES } from '../../api/disk-bytes.ts'
import { deferred } from '../support/deferred.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { VM } from './support/fake-services.ts'
import { rawConnection } from './support/raw-request.ts'
import { ApiServer } from './support/server.ts'

const SIZE = 1024 * READ_BYTES
const PATH = `/api/v1/vms/${VM.name}/snapshots/snap-1/disks/large.img`

/** Ends the connection, and waits until the server has noticed. */
async function leaveServer(server: ApiServer, socket: TLSSocket): Promise<void> {
  const before = server.entries().length
  socket.destroy()
  await server.until(() =>
    server
      .entries()
      .slice(before)
      .some((entry) => entry.aborted === true),
  )
}

describe('a client that does not take its disk', { timeout: 60_000 }, () => {
  let directory: TemporaryDirectory
  let server: ApiServer

  before(async () => {
    directory = await temporaryDirectory('api-abort')
    server = await ApiServer.start()
    const path = join(directory.path, 'large')
    await using file = await open(path, 'w')
    await file.truncate(SIZE)
    server.fake.files.set('large.img', path)
  })
  beforeEach(() => {
    Object.assign(server.fake.statistics, { opened: 0, closed: 0, reads: 0 })
    server.fake.before = async () => undefined
    server.fake.beforeRead = async () => undefined
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  function ask(method = 'GET', path = PATH): string {
    return `${method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.token}\r\n\r\n`
  }

  it('and goes away stops the reading and closes the disk', async () => {
    const { statistics } = server.fake
    const socket = await rawConnection(server)
    socket.write(ask())
    await once(socket, 'data')
    socket.destroy()
    await server.until(() => statistics.closed === 1)
    const { reads } = statistics
    assert.ok(reads < SIZE / READ_BYTES / 2, `${reads} reads`)
    // Turns of the event loop in which a read that is still wanted would be made.
    for (let turn = 0; turn < 100; turn += 1) await setImmediate()
    assert.equal(statistics.reads, reads)
    assert.deepEqual([statistics.opened, statistics.closed], [1, 1])
  })

  it('and reads nothing fills no memory: few reads are made ahead', async () => {
    const { statistics } = server.fake
    const socket = await rawConnection(server)
    socket.pause()
    socket.write(ask())
    let before = -1
    // Nothing tells that no more reads come: the buffers of the kernel fill first, as they like.
    while (statistics.reads !== before || before < 1) {
      before = statistics.reads
      await sleep(250)
    }
    assert.ok(statistics.reads <= 24, `${statistics.reads} reads of 1 MiB for a client that reads nothing`)
    assert.equal(statistics.closed, 0)
    socket.destroy()
    await server.until(() => statistics.closed === 1)
  })

  it('and goes away during a read has that read awaited before the disk is closed', async () => {
    const { statistics } = server.fake
    const reading = deferred()
    const release = deferred()
    server.fake.beforeRead = async () => {
      reading.resolve()
      await release.promise
    }
    const socket = await rawConnection(server)
    socket.write(ask())
    await reading.promise
    await leaveServer(server, socket)
    // A whole request and answer: time enough for a close that waits for nothing.
    await server.send('/healthz')
    assert.equal(statistics.closed, 0)
    release.resolve()
    await server.until(() => statistics.closed === 1)
    assert.equal(statistics.reads, 1)
  })

  it('and goes away while the disk is being opened leaves nothing open', async () => {
    const { statistics } = server.fake
    const opening = deferred()
    const release = deferred()
    server.fake.before = async () => {
      opening.resolve()
      await release.promise
    }
    const socket = await rawConnection(server)
    socket.write(ask())
    await opening.promise
    await leaveServer(server, socket)
    release.resolve()
    await server.until(() => statistics.opened === 1 && statistics.closed === 1)
  })

  it('and sends garbage in the middle gets no word of the server among its bytes', async () => {
    const socket = await rawConnection(server)
    const received: Buffer[] = []
    socket.on('data', (data: Buffer) => received.push(data))
    socket.on('error', () => undefined)
    socket.write(ask())
    await once(socket, 'data')
    const closed = once(socket, 'close')
    socket.write('this is no request\r\n\r\n')
    await closed
    const text = Buffer.concat(received).toString('latin1')
    const body = text.slice(text.indexOf('\r\n\r\n') + 4)
    assert.ok(body.length > 0)
    assert.doesNotMatch(body, /[^\0]/)
    await server.until(() => server.fake.statistics.closed === 1)
  })

  it('is not called an error in the log', async () => {
    const failures = server.entries().filter((entry) => entry.level >= 40)
    assert.deepEqual(failures, [])
  })
})

describe('a client that goes away', { timeout: 60_000 }, () => {
  let server: ApiServer

  before(async () => {
    server = await ApiServer.start()
  })
  after(() => server[Symbol.asyncDispose]())

  async function leaveDuring(method: string, path: string): Promise<AbortSignal | undefined> {
    const entered = deferred()
    const release = deferred()
    server.fake.calls.length = 0
    server.fake.before = async () => {
      entered.resolve()
      await release.promise
    }
    const socket = await rawConnection(server)
    const body = method === 'POST' ? 'Content-Length: 2\r\n\r\n{}' : '\r\n'
    socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.token}\r\n${body}`)
    await entered.promise
    const [call] = server.fake.calls
    assert.notEqual(call?.signal?.aborted, true, 'aborted although the client is there')
    const lines = server.entries().length
    socket.destroy()
    await server.until(() =>
      server
        .entries()
        .slice(lines)
        .some((entry) => entry.aborted === true),
    )
    release.resolve()
    return call?.signal
  }

  it('aborts the signal of reads and of a create', async () => {
    for (const [method, path] of [
      ['GET', '/api/v1/vms'],
      ['GET', '/api/v1/vms/x'],
      ['GET', '/api/v1/repositories'],
      ['GET', '/api/v1/vms/x/snapshots'],
      ['GET', '/api/v1/vms/x/snapshots/y'],
      ['POST', '/api/v1/vms/x/snapshots'],
    ] as const) {
      const signal = await leaveDuring(method, path)
      assert.equal(signal?.aborted, true, `${method} ${path}`)
      assert.equal(signal.reason.code, 'ABORTED')
    }
  })

  it('does not stop a delete or a purge', async () => {
    assert.equal(await leaveDuring('DELETE', '/api/v1/vms/x/snapshots'), undefined)
    assert.equal(await leaveDuring('DELETE', '/api/v1/vms/x/snapshots/y'), undefined)
  })

  it('leaves no error in the log when the service gives up, and one when it fails otherwise', async () => {
    for (const [failure, level] of [
      [(signal: AbortSignal | undefined) => signal?.reason, 20],
      [() => new Error('the database is gone'), 50],
    ] as const) {
      const entered = deferred()
      server.fake.before = async ({ signal }) => {
        entered.resolve()
        await new Promise((resolve) => signal?.addEventListener('abort', resolve))
        throw failure(signal)
      }
      const lines = server.entries().length
      const socket = await rawConnection(server)
      socket.write(`GET /api/v1/vms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.token}\r\n\r\n`)
      await entered.promise
      socket.destroy()
      const failed = () =>
        server
          .entries()
          .slice(lines)
          .find((entry) => entry.msg === 'request failed')
      await server.until(() => failed() !== undefined)
      assert.equal(failed()?.level, level)
    }
  })
})
