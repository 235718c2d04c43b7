import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createPlainServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import type { PinStore } from '../../../api/auth/manager-trust.ts'
import { DiskferryError } from '../../../core/errors.ts'
import { asking, failure, GOOD, MemoryPins, pinned, withCa } from './manager-login.ts'
import { startMockManager } from './mock-manager.ts'

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
