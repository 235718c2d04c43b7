import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { DiskferryError } from '../../core/errors.ts'
import { VM } from './support/fake-services.ts'
import { ApiServer, type LogEntry, SECRET } from './support/server.ts'
import { makeToken, now } from './support/tokens.ts'

describe('the log', { timeout: 60_000 }, () => {
  let server: ApiServer

  before(async () => {
    server = await ApiServer.start()
  })
  after(() => server[Symbol.asyncDispose]())

  /** The line about a request that was answered. */
  async function line(requestId: unknown): Promise<LogEntry> {
    const find = () =>
      server.entries().find((entry) => entry.msg === 'request' && entry.requestId === requestId)
    await server.until(() => find() !== undefined)
    return find()!
  }

  it('has one line for each request with method, route, status, time, bytes and user', async () => {
    const answer = await server.send(`/api/v1/vms/${VM.name}/snapshots/snap-1?squashChunks=0`)
    const entry = await line(answer.headers['x-request-id'])
    assert.equal(entry.level, 30)
    assert.equal(entry.method, 'GET')
    assert.equal(entry.route, '/api/v1/vms/:vm/snapshots/:snapshot')
    assert.deepEqual(entry.params, { vm: VM.name, snapshot: 'snap-1' })
    assert.equal(entry.status, 200)
    assert.ok(entry.ms! >= 0 && entry.ms! < 60_000)
    assert.ok(
      entry.bytes! >= answer.body.length && entry.bytes! < answer.body.length + 1000,
      `${entry.bytes}`,
    )
    assert.deepEqual([entry.user, entry.client], ['tester', '127.0.0.1'])
  })

  it('says why a request was refused', async () => {
    const answer = await server.send('/api/v1/vms/other')
    const entry = await line(answer.headers['x-request-id'])
    assert.deepEqual([entry.status, entry.code], [404, 'VM_NOT_FOUND'])
    assert.equal(entry.details, 'There is no VM other.')
  })

  it('has the path of a request without a route, never its query', async () => {
    for (const path of ['/nothing?token=private-thing', '/api/v1/vms/%zz?password=private-thing']) {
      const entry = await line((await server.send(path)).headers['x-request-id'])
      assert.equal(entry.route, null)
      assert.equal(entry.path, path.split('?')[0])
    }
    await server.send('/api/v1/vms?token=private-thing')
    assert.doesNotMatch(server.log, /private-thing/)
  })

  it('has the whole error of a failure, with its causes, at error level', async () => {
    server.fake.before = async () => {
      throw new DiskferryError('STORE_FAILED', 'outer', { cause: new Error('the innermost reason') })
    }
    const answer = await server.send('/api/v1/vms')
    server.fake.before = async () => undefined
    const id = answer.headers['x-request-id']
    const failure = server.entries().find((entry) => entry.msg === 'request failed' && entry.requestId === id)
    assert.equal(failure?.level, 50)
    assert.match(JSON.stringify(failure), /outer.*the innermost reason/)
    assert.equal((await line(id)).code, 'STORE_FAILED')
  })

  it('keeps probes at debug level while all is well, and warns when not', async () => {
    const well = await line((await server.send('/readyz')).headers['x-request-id'])
    assert.equal(well.level, 20)
    server.fake.before = async () => {
      throw new Error('not yet')
    }
    const id = (await server.send('/readyz')).headers['x-request-id']
    server.fake.before = async () => undefined
    assert.equal((await line(id)).level, 30)
    const reason = server.entries().find((entry) => entry.msg === 'request failed' && entry.requestId === id)
    assert.equal(reason?.level, 40)
  })

  it('never has a token, a password or an Authorization header', async () => {
    const secrets = [
      server.token,
      makeToken({ exp: now() - 60 }, SECRET),
      makeToken({}, 'x'),
      'opaque-token-value',
    ]
    for (const token of secrets) {
      for (const authorization of [`Bearer ${token}`, `Basic ${token}`, `Bearer ${token} ${token}`, token]) {
        await server.send('/api/v1/vms', { authorization })
        await server.send('/nothing', { authorization })
        await server.send('/api/v1/vms/%zz', { authorization })
      }
    }
    const login = (body: string) =>
      server.send('/api/v1/auth/login', { method: 'POST', body, authorization: null })
    const password = 'SuperSecret'
    const { token } = (await login(JSON.stringify({ username: 'admin', password }))).json() as {
      token: string
    }
    secrets.push(token, password)
    await login(`{"username": "admin", "password": "${password}"`)
    await login(JSON.stringify({ username: 'admin', password: [password] }))
    server.fake.before = async () => {
      throw new Error('the authenticator fails')
    }
    await login(JSON.stringify({ username: 'admin', password }))
    server.fake.before = async () => undefined
    for (const secret of secrets) {
      assert.ok(!server.log.includes(secret), secret)
      assert.ok(!server.log.includes(secret.split('.').at(-1)!), `the signature of ${secret}`)
    }
    assert.doesNotMatch(server.log, /authorization"/i)
  })

  it('has what is logged on behalf of a request under the same id', async () => {
    const answer = await server.send('/api/v1/auth/login', {
      method: 'POST',
      body: JSON.stringify({ username: 'admin', password: 'SuperSecret' }),
      authorization: null,
    })
    const id = answer.headers['x-request-id']
    const entry = server.entries().find(({ msg, requestId }) => msg === 'audit' && requestId === id)
    assert.equal(entry?.user, 'admin')
  })
})
