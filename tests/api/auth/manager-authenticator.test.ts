import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer as createPlainServer } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ManagerAuthenticator } from '../../../api/auth/manager-authenticator.ts'
import type { ManagerTrust, PinStore } from '../../../api/auth/manager-trust.ts'
import { DiskferryError } from '../../../core/errors.ts'
import { startMockManager } from './mock-manager.ts'

const GOOD = ['admin', 'manager-password'] as const

class MemoryPins implements PinStore {
  readonly pins = new Map<string, string>()

  async get(host: string): Promise<string | undefined> {
    return this.pins.get(host)
  }

  async set(host: string, fingerprint: string): Promise<void> {
    this.pins.set(host, fingerprint)
  }
}

function pinned(pins: PinStore = new MemoryPins()): ManagerTrust {
  return { mode: 'pin', pins, howToAccept: 'remove the old pin' }
}

function asking(endpoint: string, trust: ManagerTrust, timeoutMs = 5000): ManagerAuthenticator {
  return new ManagerAuthenticator({ resolveEndpoint: async () => endpoint, trust, timeoutMs })
}

async function failure(work: Promise<unknown>): Promise<DiskferryError> {
  const error = await work.then(
    () => assert.fail('it should have been refused'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof DiskferryError, String(error))
  return error
}

async function withCa(pem: string, use: (trust: ManagerTrust) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'diskferry-ca-'))
  try {
    const caCertificate = join(folder, 'ca.pem')
    await writeFile(caCertificate, pem)
    await use({ mode: 'ca', caCertificate })
  } finally {
    await rm(folder, { recursive: true })
  }
}

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

describe('tls = "pin"', () => {
  it('keeps the certificate of the first good login and takes it again', async () => {
    await using manager = await startMockManager()
    const pins = new MemoryPins()
    await asking(manager.url, pinned(pins)).authenticate(...GOOD)
    assert.deepEqual([...pins.pins], [[`127.0.0.1:${manager.port}`, manager.fingerprint]])
    await asking(manager.url, pinned(pins)).authenticate(...GOOD)
    assert.equal(pins.pins.size, 1)
  })

  it('sends no credentials to a changed certificate and names both', async () => {
    await using manager = await startMockManager()
    const authenticator = asking(manager.url, pinned())
    await authenticator.authenticate(...GOOD)
    const before = manager.fingerprint
    await manager.changeCertificate()
    manager.forgetRequests()
    const error = await failure(authenticator.authenticate(...GOOD))
    assert.equal(error.code, 'MANAGER_CERTIFICATE_CHANGED')
    assert.ok(error.message.includes(before))
    assert.ok(error.message.includes(manager.fingerprint))
    assert.match(error.message, /remove the old pin/)
    assert.doesNotMatch(error.clientMessage ?? '', /127\.0\.0\.1/)
    assert.equal(manager.connections, 1)
    assert.equal(manager.credentialsArrived, false)
  })

  it('pins nothing for a refused login or a machine that is no manager', async () => {
    await using manager = await startMockManager()
    const pins = new MemoryPins()
    await failure(asking(manager.url, pinned(pins)).authenticate('admin', 'wrong'))
    manager.behaviour = 404
    await failure(asking(manager.url, pinned(pins)).authenticate(...GOOD))
    assert.equal(pins.pins.size, 0)
  })

  it('refuses when another login pinned another certificate meanwhile', async () => {
    await using manager = await startMockManager()
    const answers = [undefined, 'AA:BB']
    const pins: PinStore = {
      get: async () => answers.shift(),
      set: async () => assert.fail('nothing may be kept'),
    }
    const error = await failure(asking(manager.url, pinned(pins)).authenticate(...GOOD))
    assert.equal(error.code, 'MANAGER_CERTIFICATE_CHANGED')
  })

  it('passes on a pin store that fails, asking nobody', async () => {
    await using manager = await startMockManager()
    const broken = new DiskferryError('STORE_FAILED', 'the database is broken')
    const pins: PinStore = { get: () => Promise.reject(broken), set: () => Promise.reject(broken) }
    assert.equal(await failure(asking(manager.url, pinned(pins)).authenticate(...GOOD)), broken)
    assert.equal(manager.connections, 0)
  })
})

describe('tls = "ca"', () => {
  it('takes a certificate of the authority for the right IP address', async () => {
    await using manager = await startMockManager()
    await withCa(manager.certificate, (trust) => asking(manager.url, trust).authenticate(...GOOD))
  })

  it('takes it for the right host name', async () => {
    await using manager = await startMockManager({ ipInCertificate: false })
    const url = `https://localhost:${manager.port}`
    await withCa(manager.certificate, (trust) => asking(url, trust).authenticate(...GOOD))
  })

  it('sends no credentials to a certificate of another authority', async () => {
    await using manager = await startMockManager()
    await using other = await startMockManager()
    await withCa(other.certificate, async (trust) => {
      const error = await failure(asking(manager.url, trust).authenticate(...GOOD))
      assert.equal(error.code, 'MANAGER_UNREACHABLE')
      assert.match(error.message, /ovm\.ca_certificate/)
    })
    assert.equal(manager.credentialsArrived, false)
  })

  for (const [what, host, ipInCertificate] of [
    ['host name', 'localhost', true],
    ['IP address', '127.0.0.1', false],
  ] as const) {
    it(`sends no credentials to a certificate for another ${what}`, async () => {
      await using manager = await startMockManager({ name: 'manager.example', ipInCertificate })
      await withCa(manager.certificate, async (trust) => {
        const error = await failure(asking(`https://${host}:${manager.port}`, trust).authenticate(...GOOD))
        assert.equal(error.code, 'MANAGER_UNREACHABLE')
        assert.match(error.message, /for another name/)
      })
      assert.equal(manager.credentialsArrived, false)
    })
  }

  it('sends nothing when the file of the authority is gone', async () => {
    await using manager = await startMockManager()
    const trust = { mode: 'ca', caCertificate: '/nonexistent/ca.pem' } as const
    const error = await failure(asking(manager.url, trust).authenticate(...GOOD))
    assert.equal(error.code, 'MANAGER_UNREACHABLE')
    assert.match(error.message, /ovm\.ca_certificate can't be read.*ENOENT/)
    assert.equal(manager.connections, 0)
  })
})

describe('tls = "off"', () => {
  it('takes any certificate, also a changed one', async () => {
    await using manager = await startMockManager({ name: 'manager.example', ipInCertificate: false })
    const authenticator = asking(manager.url, { mode: 'off' })
    await authenticator.authenticate(...GOOD)
    await manager.changeCertificate()
    await authenticator.authenticate(...GOOD)
  })

  it('takes plain http', async () => {
    const server = createPlainServer((_request, response) => response.end('[]'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    await asking(url, { mode: 'off' }).authenticate(...GOOD)
    server.close()
  })
})
