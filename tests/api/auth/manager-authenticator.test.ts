import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, it } from 'node:test'
import { ManagerAuthenticator } from '../../../api/auth/manager-authenticator.ts'
import { DiskferryError } from '../../../core/errors.ts'
import { asking, failure, GOOD, pinned } from './manager-login.ts'
import { startMockManager } from './mock-manager.ts'

describe('a login at the manager', () => {
  it('lists the repository ids with basic auth, asking for JSON', async () => {
    await using manager = await startMockManager()
    await asking(manager.url, { mode: 'off' }).authenticate(...GOOD)
    assert.equal(manager.requests.length, 1)
    const [request] = manager.requests
    assert.equal(request?.method, 'GET')
    assert.equal(request?.path, '/ovm/core/wsapi/rest/Repository/id')
    assert.equal(request?.headers.accept, 'application/json')
    assert.equal(request?.headers.authorization, `Basic ${btoa('admin:manager-password')}`)
  })

  it('keeps the path of an endpoint behind a proxy', async () => {
    await using manager = await startMockManager()
    await failure(asking(`${manager.url}/proxy/`, { mode: 'off' }).authenticate(...GOOD))
    assert.equal(manager.requests[0]?.path, '/proxy/ovm/core/wsapi/rest/Repository/id')
  })

  it('is refused for a wrong password and for a wrong user', async () => {
    await using manager = await startMockManager()
    const authenticator = asking(manager.url, { mode: 'off' })
    assert.equal((await failure(authenticator.authenticate('admin', 'wrong'))).code, 'LOGIN_REFUSED')
    assert.equal((await failure(authenticator.authenticate('nobody', GOOD[1]))).code, 'LOGIN_REFUSED')
  })

  it('is refused for a user who may not list repositories', async () => {
    await using manager = await startMockManager()
    manager.behaviour = 403
    const error = await failure(asking(manager.url, { mode: 'off' }).authenticate(...GOOD))
    assert.equal(error.code, 'LOGIN_REFUSED')
  })

  it('carries names and passwords in UTF-8, and colons in the password', async () => {
    const [username, password] = ['müller', 'pä:ss:wörd €']
    await using manager = await startMockManager({ username, password })
    await asking(manager.url, { mode: 'off' }).authenticate(username, password)
  })

  it('never sends what basic auth can not carry', async () => {
    await using manager = await startMockManager()
    const authenticator = asking(manager.url, { mode: 'off' })
    const impossible: readonly (readonly [string, string])[] = [
      ['ad:min', 'x'],
      ['', 'x'],
      ['admin', ''],
      ['admin', 'a\r\nX-Evil: 1'],
      ['ad\0min', 'x'],
      ['admin', '\ud800'],
      ['a'.repeat(1025), 'x'],
      ['admin', 'ü'.repeat(513)],
    ]
    for (const [username, password] of impossible) {
      assert.equal((await failure(authenticator.authenticate(username, password))).code, 'LOGIN_REFUSED')
    }
    assert.equal(manager.connections, 0)
  })

  it('tells a manager with a name which name it wants, and none to an IP address', async () => {
    await using manager = await startMockManager()
    await asking(`https://localhost:${manager.port}`, { mode: 'off' }).authenticate(...GOOD)
    await asking(manager.url, { mode: 'off' }).authenticate(...GOOD)
    assert.deepEqual(
      manager.requests.map((request) => request.servername),
      ['localhost', undefined],
    )
  })

  it('uses a connection of its own each time', async () => {
    await using manager = await startMockManager()
    const authenticator = asking(manager.url, { mode: 'off' })
    await authenticator.authenticate(...GOOD)
    await authenticator.authenticate(...GOOD)
    assert.equal(manager.connections, 2)
  })

  it('asks for the address each time', async () => {
    await using manager = await startMockManager()
    let asked = 0
    const resolveEndpoint = async () => {
      asked++
      return manager.url
    }
    const authenticator = new ManagerAuthenticator({ resolveEndpoint, trust: { mode: 'off' } })
    await authenticator.authenticate(...GOOD)
    await authenticator.authenticate(...GOOD)
    assert.equal(asked, 2)
  })
})

describe('a manager that can not be asked', () => {
  it('is named with its URL and the reason, but not to the client', async () => {
    await using manager = await startMockManager()
    const { url } = manager
    await manager.stop()
    const error = await failure(asking(url, { mode: 'off' }).authenticate(...GOOD))
    assert.equal(error.code, 'MANAGER_UNREACHABLE')
    assert.match(error.message, /https:\/\/127\.0\.0\.1:\d+\/ovm.*ECONNREFUSED.*start the manager/)
    assert.doesNotMatch(error.clientMessage ?? '', /127\.0\.0\.1/)
    assert.match(error.clientMessage ?? '', /OVM manager/)
  })

  for (const status of [302, 307, 404, 500, 503]) {
    it(`is one that answers ${status}, and is asked only once`, async () => {
      await using manager = await startMockManager()
      manager.behaviour = status
      const error = await failure(asking(manager.url, { mode: 'off' }).authenticate(...GOOD))
      assert.equal(error.code, 'MANAGER_UNREACHABLE')
      assert.match(error.message, new RegExp(`answered ${status}`))
      assert.equal(manager.requests.length, 1)
    })
  }

  for (const behaviour of ['hang', 'hang-body'] as const) {
    it(`is one that stops answering (${behaviour}), within the timeout`, async () => {
      await using manager = await startMockManager()
      manager.behaviour = behaviour
      const started = performance.now()
      const error = await failure(asking(manager.url, { mode: 'off' }, 300).authenticate(...GOOD))
      assert.equal(error.code, 'MANAGER_UNREACHABLE')
      assert.match(error.message, /did not answer within 0\.3 s/)
      assert.ok(performance.now() - started < 3000)
    })
  }

  it('is one that hangs up', async () => {
    await using manager = await startMockManager()
    manager.behaviour = 'hang-up'
    const error = await failure(asking(manager.url, { mode: 'off' }).authenticate(...GOOD))
    assert.equal(error.code, 'MANAGER_UNREACHABLE')
  })

  it('is one that accepts connections and never shakes hands, whose connection is let go', async () => {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const accepted = once(server, 'connection')
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const error = await failure(asking(url, pinned(), 300).authenticate(...GOOD))
    assert.equal(error.code, 'MANAGER_UNREACHABLE')
    const [socket] = await accepted
    socket.resume()
    if (!socket.closed) await once(socket, 'close')
    server.close()
  })

  it('is one that speaks no TLS, and it gets no password', async () => {
    const received: Buffer[] = []
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy())
      socket.on('data', (chunk) => {
        received.push(chunk)
        socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const error = await failure(asking(url, pinned()).authenticate(...GOOD))
    assert.equal(error.code, 'MANAGER_UNREACHABLE')
    assert.doesNotMatch(Buffer.concat(received).toString('latin1'), /Basic/)
    server.close()
  })

  it('is one whose address can not be found out', async () => {
    const resolveEndpoint = async () => {
      throw new DiskferryError('INVENTORY_UNREADABLE', 'there is no manager_ip in /etc/ovs-agent/db/server')
    }
    const authenticator = new ManagerAuthenticator({ resolveEndpoint, trust: pinned() })
    const error = await failure(authenticator.authenticate(...GOOD))
    assert.equal(error.code, 'MANAGER_UNREACHABLE')
    assert.match(error.message, /no manager_ip.*set ovm_endpoint/)
    assert.doesNotMatch(error.clientMessage ?? '', /ovs-agent/)
  })

  it('is one whose address is not told in time', async () => {
    const never = new Promise<string>(() => {})
    const authenticator = new ManagerAuthenticator({
      resolveEndpoint: () => never,
      trust: pinned(),
      timeoutMs: 50,
    })
    assert.equal((await failure(authenticator.authenticate(...GOOD))).code, 'MANAGER_UNREACHABLE')
  })

  it('is one with an address that is no https URL', async () => {
    for (const endpoint of ['', 'manager:7002', 'ftp://manager', 'http://127.0.0.1:1']) {
      const error = await failure(asking(endpoint, pinned()).authenticate(...GOOD))
      assert.equal(error.code, 'MANAGER_UNREACHABLE')
      assert.match(error.message, /not an https URL/)
    }
  })

  it('is given up when the client goes away', async () => {
    await using manager = await startMockManager()
    manager.behaviour = 'hang'
    const client = new AbortController()
    const login = failure(asking(manager.url, { mode: 'off' }).authenticate(...GOOD, client.signal))
    await manager.nextRequest()
    client.abort()
    assert.equal((await login).code, 'ABORTED')
    assert.equal(
      (await failure(asking(manager.url, { mode: 'off' }).authenticate(...GOOD, client.signal))).code,
      'ABORTED',
    )
  })

  it('may send more than anybody reads', async () => {
    await using manager = await startMockManager()
    manager.behaviour = 'endless-body'
    await asking(manager.url, { mode: 'off' }).authenticate(...GOOD)
  })
})
