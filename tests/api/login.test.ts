import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { hashPassword } from '../../api/auth/password-hash.ts'
import { UsersAuthenticator } from '../../api/auth/users-authenticator.ts'
import { DiskferryError } from '../../core/errors.ts'
import { FakeServices } from './support/fake-services.ts'
import { type Answer, ApiServer, type SendOptions } from './support/server.ts'
import { now } from './support/tokens.ts'

const GOOD = JSON.stringify({ username: 'admin', password: 'SuperSecret' })

describe('POST /api/v1/auth/login', () => {
  let server: ApiServer

  before(async () => {
    server = await ApiServer.start()
  })
  beforeEach(() => {
    server.fake.calls.length = 0
    server.fake.before = async () => undefined
  })
  after(() => server[Symbol.asyncDispose]())

  function login(body: string | Buffer, headers: SendOptions['headers'] = {}): Promise<Answer> {
    return server.send('/api/v1/auth/login', { method: 'POST', body, headers, authorization: null })
  }

  it('gives a token that opens the other routes until it expires', async () => {
    const answer = await login(GOOD, { 'content-type': 'application/json' })
    assert.equal(answer.status, 200)
    const { token } = answer.json() as { token: string }
    const claims = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString())
    assert.equal(claims.user, 'admin')
    assert.equal(claims.iss, 'diskferry')
    assert.ok(Math.abs(claims.exp - now() - 3600) <= 2, `exp is ${claims.exp}`)
    assert.equal((await server.send('/api/v1/vms', { authorization: `Bearer ${token}` })).status, 200)
  })

  it('reads the body as JSON whatever type it is said to have', async () => {
    for (const type of [
      undefined,
      'application/x-www-form-urlencoded',
      'application/json',
      'application/json; charset=latin1',
      'text/plain',
      'multipart/form-data',
      'nonsense',
      '',
    ]) {
      const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type }
      assert.equal((await login(GOOD, headers)).status, 200, type)
    }
  })

  it('ignores fields that it does not know, and a byte order mark', async () => {
    const body = `{"extra": [1], "__proto__": {"x": 1}, "constructor": 1, ${GOOD.slice(1)}`
    assert.equal((await login(body)).status, 200)
    assert.equal((await login(`\uFEFF${GOOD}`)).status, 200)
  })

  it('refuses a malformed body without asking anybody and without quoting it', async () => {
    for (const body of [
      '',
      'SuperSecret',
      '{"username": "admin", "password": "SuperSecret"',
      'username=admin&password=SuperSecret',
      'null',
      '[]',
      '"SuperSecret"',
      '{}',
      '{"username": "admin"}',
      '{"password": "SuperSecret"}',
      '{"username": 1, "password": "SuperSecret"}',
      '{"username": "admin", "password": ["SuperSecret"]}',
      '{"username": "admin", "password": null}',
      Buffer.from([0x7b, 0xff, 0x7d]),
    ]) {
      const answer = await login(body)
      assert.equal(answer.status, 400, String(body))
      const { error, code, details } = answer.refusal()
      assert.deepEqual([error, code], ['Bad Request', 'INVALID_REQUEST'])
      assert.doesNotMatch(details, /SuperSecret/)
    }
    assert.deepEqual(server.fake.calls, [])
    assert.doesNotMatch(server.log, /SuperSecret/)
  })

  it('refuses a body beyond 64 KiB', async () => {
    const padding = ' '.repeat(64 * 1024 - GOOD.length)
    assert.equal((await login(GOOD + padding)).status, 200)
    const answer = await login(`${GOOD}${padding} `)
    assert.equal(answer.status, 413)
    const { error, code, details } = answer.refusal()
    assert.deepEqual([error, code], ['Payload Too Large', 'INVALID_REQUEST'])
    assert.match(details, /65536/)
  })

  it('says 401 when the credentials are refused', async () => {
    const answer = await login(JSON.stringify({ username: 'admin', password: 'wrong' }))
    assert.equal(answer.status, 401)
    assert.deepEqual(answer.json(), {
      error: 'Not Authorized',
      details: 'The user name or the password is wrong.',
      code: 'LOGIN_REFUSED',
    })
  })

  it('answers a user who does not exist as one whose password is wrong', async () => {
    const passwordHash = await hashPassword('SuperSecret', { logN: 13, blockSize: 8, parallelism: 1 })
    const authenticator = new UsersAuthenticator([{ username: 'admin', passwordHash }])
    await using strict = await ApiServer.start({
      services: { ...new FakeServices().services, authenticator },
    })
    const answered = async (username: string, password: string) => {
      const { status, headers, body } = await strict.send('/api/v1/auth/login', {
        method: 'POST',
        body: JSON.stringify({ username, password }),
        authorization: null,
      })
      const { date: _date, 'x-request-id': _id, ...told } = headers
      return { status, headers: told, body: body.toString() }
    }
    assert.equal((await answered('admin', 'SuperSecret')).status, 200)
    const wrong = await answered('admin', 'wrong')
    assert.equal(wrong.status, 401)
    for (const stranger of ['nobody', 'Admin', '__proto__', 'ädmin'])
      assert.deepEqual(await answered(stranger, 'wrong'), wrong)
  })

  it('says 503 when the manager cannot be asked, and keeps its address for the log', async () => {
    for (const code of ['MANAGER_UNREACHABLE', 'MANAGER_CERTIFICATE_CHANGED'] as const) {
      server.fake.before = async () => {
        throw new DiskferryError(code, 'https://10.0.0.1:7002 refused the connection')
      }
      const answer = await login(GOOD)
      assert.equal(answer.status, 503)
      const body = answer.refusal()
      assert.deepEqual([body.error, body.code], ['Service Unavailable', code])
      assert.match(body.details, /OVM manager/)
      assert.doesNotMatch(body.details, /10\.0\.0\.1/)
      assert.match(server.log, /10\.0\.0\.1:7002/)
    }
  })
})
