import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { DEFAULT_LIMITS } from '../../api/limits.ts'
import { SCHEMA } from '../../config/schema.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { ApiServer } from './support/server.ts'

const MIB = 1024 * 1024

describe('the limits of one client', { timeout: 60_000 }, () => {
  let server: ApiServer
  let folder: TemporaryDirectory

  before(async () => {
    folder = await temporaryDirectory('limits')
    server = await ApiServer.start({
      limits: { downloadsPerClient: 2, connectionsPerClient: 8, failedLoginsPerUser: 3 },
    })
    const file = join(folder.path, 'disk')
    await writeFile(file, Buffer.alloc(64 * MIB))
    server.fake.files.set('system.img', file)
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  const path = '/api/v1/vms/0004fb0000060000ccaf98a0baa2c186/snapshots/snap-1/disks/system.img'

  /** Begins a download, and takes none of it. */
  async function download(): Promise<readonly [ClientRequest, IncomingMessage]> {
    const asked = request(`${server.url}${path}`, {
      ca: server.certificates.cert,
      headers: { authorization: `Bearer ${server.token}` },
      agent: false,
    })
    asked.end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    return [asked, answer]
  }

  it('refuse a download too many with 429, and none when another has ended', async () => {
    const [first, firstAnswer] = await download()
    const [second] = await download()
    assert.equal(firstAnswer.statusCode, 200)
    const answer = await server.send(path, { headers: { range: 'bytes=0-9' } })
    assert.equal(answer.status, 429)
    assert.equal(answer.refusal().code, 'TOO_MANY_DOWNLOADS')
    assert.equal(answer.headers['retry-after'], '1')
    assert.equal((await server.send(path, { method: 'HEAD' })).status, 200)
    first.destroy()
    const { statistics } = server.fake
    await server.until(() => statistics.closed >= statistics.opened - 1)
    assert.equal((await server.send(path, { headers: { range: 'bytes=0-9' } })).status, 206)
    second.destroy()
    await server.until(() => statistics.closed === statistics.opened)
  })

  it('are not touched by downloads that were refused or failed', async () => {
    for (let turn = 0; turn < 5; turn++) {
      assert.equal((await server.send(`${path}x`)).status, 404)
      assert.equal((await server.send(path, { headers: { range: 'bytes=99999999-' } })).status, 416)
    }
    assert.equal((await server.send(path, { headers: { range: 'bytes=0-9' } })).status, 206)
  })

  it('refuse a login too many with 429 and say when to come back', async () => {
    const login = (password: string) =>
      server.send('/api/v1/auth/login', {
        method: 'POST',
        body: JSON.stringify({ username: 'guessed', password }),
        authorization: null,
      })
    for (let turn = 0; turn < 3; turn++) assert.equal((await login('wrong')).status, 401)
    const answer = await login('SuperSecret')
    assert.equal(answer.status, 429)
    assert.equal(answer.refusal().code, 'LOGIN_LIMITED')
    assert.equal(answer.headers['retry-after'], '20')
  })

  it('close connections beyond their number, also those that say nothing', async () => {
    await server.agent.close()
    const connections: Socket[] = []
    try {
      const opened = new Set<Socket>()
      for (let n = 0; n < 12; n++) {
        const socket = connect(server.port, '127.0.0.1')
        connections.push(socket)
        opened.add(socket)
        socket.on('error', () => undefined)
        socket.once('close', () => opened.delete(socket))
        await once(socket, 'connect')
      }
      await Promise.all(connections.slice(8).map((socket) => socket.destroyed || once(socket, 'close')))
      assert.equal(opened.size, 8)
      const { port } = server
      connections[0]!.destroy()
      await server.until(() => true)
      const late = connect(port, '127.0.0.1')
      connections.push(late)
      await once(late, 'connect')
    } finally {
      for (const socket of connections) socket.destroy()
    }
  })
})

it('the limits without a configuration are those of its defaults', () => {
  const byDefault = (path: string) => {
    const spec = SCHEMA.find((candidate) => candidate.path === path)
    return spec !== undefined && 'default' in spec ? spec.default : undefined
  }
  assert.deepEqual(DEFAULT_LIMITS, {
    connectionsPerClient: byDefault('api.connections_per_client'),
    downloadsPerClient: byDefault('api.downloads_per_client'),
    failedLoginsPerAddress: byDefault('auth.failed_logins_per_address'),
    failedLoginsPerUser: byDefault('auth.failed_logins_per_user'),
  })
})
