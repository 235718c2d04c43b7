import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { DiskferryError } from '../../core/errors.ts'
import { deferred } from '../support/deferred.ts'
import { VM } from './support/fake-services.ts'
import { rawRequest } from './support/raw-request.ts'
import { ApiServer } from './support/server.ts'

const JSON_TYPE = 'application/json; charset=utf-8'
const SNAPSHOTS = `/api/v1/vms/${VM.name}/snapshots`

describe('every request', () => {
  let server: ApiServer

  before(async () => {
    server = await ApiServer.start()
  })
  beforeEach(() => {
    server.fake.calls.length = 0
    server.fake.before = async () => undefined
  })
  after(() => server[Symbol.asyncDispose]())

  it('is answered with and without a trailing slash', async () => {
    for (const [method, path] of [
      ['GET', '/healthz'],
      ['GET', '/readyz'],
      ['GET', '/api/v1/vms'],
      ['GET', `/api/v1/vms/${VM.name}`],
      ['GET', SNAPSHOTS],
      ['POST', SNAPSHOTS],
      ['GET', `${SNAPSHOTS}/snap-1`],
      ['DELETE', `${SNAPSHOTS}/snap-1`],
      ['DELETE', SNAPSHOTS],
      ['GET', '/api/v1/repositories'],
      ['GET', '/api/v1/backends'],
      ['GET', '/docs'],
      ['GET', '/docs/json'],
    ] as const) {
      for (const slash of ['', '/']) {
        const answer = await server.send(path + slash, { method })
        assert.equal(answer.status, 200, `${method} ${path}${slash}`)
      }
    }
    assert.equal((await server.send(`${SNAPSHOTS}/snap-1/?squashChunks=1`)).status, 200)
  })

  it('has an id of its own, which a client cannot choose', async () => {
    const send = () => server.send('/healthz', { headers: { 'x-request-id': 'mine', 'request-id': 'mine' } })
    const ids = [(await send()).headers['x-request-id'], (await send()).headers['x-request-id']]
    for (const id of ids)
      assert.match(String(id), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/)
    assert.notEqual(ids[0], ids[1])
  })

  it('to an unknown route or method is 404', async () => {
    for (const [method, path] of [
      ['GET', '/'],
      ['GET', '/api/v1'],
      ['GET', '/api/v2/vms'],
      ['GET', '/api/v1/VMS'],
      ['GET', '/api/v1/auth/login'],
      ['POST', '/api/v1/vms'],
      ['PUT', `/api/v1/vms/${VM.name}`],
      ['PATCH', SNAPSHOTS],
      ['OPTIONS', '/api/v1/vms'],
      ['PROPFIND', '/api/v1/vms'],
      ['GET', `${SNAPSHOTS}/snap-1/disks`],
      ['POST', `${SNAPSHOTS}/snap-1/disks/x`],
      ['GET', '/docs/static/nothing'],
    ] as const) {
      const answer = await server.send(path, { method })
      assert.equal(answer.status, 404, `${method} ${path}`)
      assert.equal(answer.headers['content-type'], JSON_TYPE)
      const { error, code } = answer.refusal()
      assert.deepEqual([error, code], ['Not Found', 'ROUTE_NOT_FOUND'])
    }
    assert.equal((await server.send('/api/v1/vms', { method: 'HEAD' })).status, 404)
  })

  it('that climbs out of the documentation is refused in the same shape', async () => {
    for (const climb of ['../../', '%2e%2e%2f%2e%2e%2f', '%2e%2e/%2e%2e/']) {
      const answer = await server.send(`/docs/static/${climb}package.json`, { authorization: null })
      assert.ok([403, 404].includes(answer.status), `${answer.status} for ${climb}`)
      assert.match(answer.refusal().code, /^(INVALID_REQUEST|ROUTE_NOT_FOUND)$/)
    }
  })

  it('for a name that nothing has is 404, whatever the name', async () => {
    const names = [
      'x',
      '.',
      '..',
      'ä',
      '日本',
      'a b',
      'a/b',
      '../../etc/passwd',
      'a?b#c',
      '%',
      '%2F',
      '{vm}',
      '-',
      "'",
      '\u{1F4BE}',
      'x'.repeat(255),
      '\u{1F4BE}'.repeat(255),
    ]
    for (const name of names) {
      const answer = await server.send(`/api/v1/vms/${encodeURIComponent(name)}`)
      assert.equal(answer.status, 404, name)
      assert.equal(answer.refusal().code, 'VM_NOT_FOUND')
      assert.deepEqual(server.fake.calls.at(-1)?.args, [name])
      const snapshot = await server.send(`${SNAPSHOTS}/${encodeURIComponent(name)}`)
      assert.equal(snapshot.status, 404, name)
      assert.equal(snapshot.refusal().code, 'SNAPSHOT_NOT_FOUND')
    }
  })

  it('with a malformed name is 400 and reaches no service', async () => {
    const names = [
      '%zz',
      '%',
      '%2',
      '%ff',
      '%C3',
      '%00',
      'a%00',
      '%0a',
      '%7f',
      '%C2%85',
      'x'.repeat(256),
      'x'.repeat(10_000),
    ]
    for (const name of names) {
      for (const path of [
        `/api/v1/vms/${name}`,
        `/api/v1/vms/${name}/snapshots`,
        `${SNAPSHOTS}/${name}`,
        `${SNAPSHOTS}/snap-1/disks/${name}`,
      ]) {
        const answer = await server.send(path)
        assert.equal(answer.status, 400, path)
        assert.equal(answer.refusal().code, 'INVALID_REQUEST', path)
      }
    }
    assert.equal((await server.send('/api/v1/vms//snapshots')).status, 400)
    assert.deepEqual(server.fake.calls, [])
  })

  it('may bring a body that is not wanted, of any type, up to 64 KiB', async () => {
    for (const type of [
      undefined,
      'application/json',
      'text/plain',
      'nonsense',
      'application/x-www-form-urlencoded',
    ]) {
      const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type }
      for (const body of [undefined, '', '{}', 'not JSON', Buffer.alloc(64 * 1024)]) {
        for (const [method, path] of [
          ['POST', SNAPSHOTS],
          ['DELETE', SNAPSHOTS],
          ['DELETE', `${SNAPSHOTS}/snap-1`],
        ] as const) {
          const answer = await server.send(path, { method, headers, ...(body !== undefined && { body }) })
          assert.equal(answer.status, 200, `${method} with ${type}`)
        }
      }
    }
  })

  it('with a body beyond 64 KiB is 413', async () => {
    for (const [method, path] of [
      ['POST', SNAPSHOTS],
      ['DELETE', SNAPSHOTS],
    ] as const) {
      const answer = await server.send(path, { method, body: Buffer.alloc(64 * 1024 + 1) })
      assert.equal(answer.status, 413)
      assert.equal(answer.refusal().code, 'INVALID_REQUEST')
    }
    assert.deepEqual(server.fake.calls, [])
  })

  it('with a body of unknown length beyond 64 KiB is 413', async () => {
    const chunk = `${(1024).toString(16)}\r\n${'x'.repeat(1024)}\r\n`
    const answer = await rawRequest(server, [
      `POST ${SNAPSHOTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.token}\r\n`,
      'Transfer-Encoding: chunked\r\n\r\n',
      chunk.repeat(80),
    ])
    assert.match(answer, /^HTTP\/1\.1 413 /)
  })

  it('with an expectation that nobody knows is answered all the same', async () => {
    const answer = await rawRequest(server, [
      'GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nConnection: close\r\n\r\n',
    ])
    assert.match(answer, /^HTTP\/1\.1 200 /)
  })

  it('with a header beyond 16 KiB is 431', async () => {
    const answer = await rawRequest(server, [`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`])
    assert.match(answer, /^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/)
    assert.match(answer, /\r\nx-request-id: [0-9a-f-]{36}\r\n/)
    const body = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))
    assert.deepEqual([body.error, body.code], ['Request Header Fields Too Large', 'INVALID_REQUEST'])
  })

  it('of HTTP/1.1 without a host is 400 and says so, found by fuzzing; one of HTTP/1.0 is answered', async () => {
    const [, text = ''] = (
      await rawRequest(server, ['GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n'])
    ).split('\r\n\r\n')
    assert.match(text, /"details":"The request has no Host header.*"code":"INVALID_REQUEST"/)
    assert.match(await rawRequest(server, ['GET /healthz HTTP/1.0\r\n\r\n']), /^HTTP\/1\.1 200 OK/)
  })

  it('that is none is 400', async () => {
    for (const text of [
      'nonsense\r\n\r\n',
      'FETCH / HTTP/1.1\r\nHost: x\r\n\r\n',
      'GET / HTTP/1.1\r\nHost x\r\n\r\n',
    ]) {
      const answer = await rawRequest(server, [text])
      assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/, text)
      assert.equal(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)).code, 'INVALID_REQUEST')
    }
  })

  it('with a body that is no HTTP is 400 while nothing has been answered', async () => {
    const answer = await rawRequest(server, [
      `POST ${SNAPSHOTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.token}\r\n`,
      'Transfer-Encoding: chunked\r\n\r\nnonsense\r\n',
    ])
    assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/)
    assert.deepEqual(server.fake.calls, [])
  })

  it('whose answer is being prepared is not answered by garbage that follows it', async () => {
    const entered = deferred()
    const release = deferred()
    server.fake.before = async () => {
      entered.resolve()
      await release.promise
    }
    const answer = rawRequest(server, [
      `POST ${SNAPSHOTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.token}\r\n\r\n`,
      'garbage\r\n\r\n',
    ])
    await entered.promise
    assert.equal(await answer, '')
    release.resolve()
  })

  it('that fails inside is 500 with the request id and without the reason', async () => {
    const failures = [
      new DiskferryError('STORE_FAILED', '/etc/diskferry/db: I/O error'),
      new Error('/etc/passwd'),
      'text',
    ]
    for (const failure of failures) {
      server.fake.before = async () => {
        throw failure
      }
      const answer = await server.send('/api/v1/vms')
      assert.equal(answer.status, 500)
      const { error, details } = answer.refusal()
      assert.equal(error, 'Server error')
      assert.doesNotMatch(answer.body.toString(), /\/etc|stack|at /)
      assert.ok(details.includes(String(answer.headers['x-request-id'])), details)
    }
    assert.match(server.log, /\/etc\/diskferry\/db: I\/O error/)
  })

  it('in flight when the server closes is finished', async () => {
    await using other = await ApiServer.start()
    const entered = deferred()
    const release = deferred()
    other.fake.before = async () => {
      entered.resolve()
      await release.promise
    }
    const answer = other.send('/api/v1/vms')
    await entered.promise
    const closed = other.app.close()
    release.resolve()
    assert.equal((await answer).status, 200)
    await closed
  })
})
