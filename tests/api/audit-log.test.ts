import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { DiskferryError } from '../../core/errors.ts'
import { VM } from './support/fake-services.ts'
import { ApiServer, type LogEntry, type SendOptions } from './support/server.ts'

interface AuditLine extends LogEntry {
  readonly audit: string
  readonly outcome: string
  readonly vm?: string
  readonly snapshot?: string
}

const SNAPSHOTS = `/api/v1/vms/${VM.name}/snapshots`

function auditLinesOf(server: ApiServer, headers: IncomingHttpHeaders): readonly AuditLine[] {
  return server
    .entries()
    .filter((entry): entry is AuditLine => 'audit' in entry && entry.requestId === headers['x-request-id'])
}

describe('the audit log', () => {
  let server: ApiServer
  before(async () => {
    server = await ApiServer.start()
  })
  after(() => server[Symbol.asyncDispose]())

  /** The one line that a request made, without what differs at each run. */
  async function lineOf(path: string, options: SendOptions) {
    const { headers } = await server.send(path, options)
    const lines = auditLinesOf(server, headers)
    assert.equal(lines.length, 1, `${options.method} ${path}`)
    const { audit, outcome, code, user, client, vm, snapshot } = lines[0]!
    return { audit, outcome, code, user, client, vm, snapshot }
  }

  const login = (username: string, password: string) =>
    lineOf('/api/v1/auth/login', {
      method: 'POST',
      body: JSON.stringify({ username, password }),
      authorization: null,
    })
  const nothing = { code: undefined, vm: undefined, snapshot: undefined }
  const client = '127.0.0.1'

  it('has each login, granted or refused, with user and address', async () => {
    assert.deepEqual(await login('admin', 'SuperSecret'), {
      ...nothing,
      audit: 'login',
      outcome: 'ok',
      user: 'admin',
      client,
    })
    assert.deepEqual(await login('admin', 'wrong'), {
      ...nothing,
      audit: 'login',
      outcome: 'refused',
      code: 'LOGIN_REFUSED',
      user: 'admin',
      client,
    })
    assert.doesNotMatch(server.log, /SuperSecret|"wrong"/)
  })

  it('cuts a name that is as long as a body may be', async () => {
    const { user } = await login('x'.repeat(60_000), 'wrong')
    assert.equal(user?.length, 256)
  })

  it('has each snapshot that is made, with its id', async () => {
    const line = await lineOf(SNAPSHOTS, { method: 'POST' })
    assert.deepEqual(line, {
      ...nothing,
      audit: 'snapshot.create',
      outcome: 'ok',
      user: 'tester',
      client,
      vm: VM.name,
      snapshot: 'snap-3',
    })
  })

  it('has each that is deleted, and each purge', async () => {
    const made = { ...nothing, outcome: 'ok', user: 'tester', client, vm: VM.name }
    assert.deepEqual(await lineOf(`${SNAPSHOTS}/snap-1`, { method: 'DELETE' }), {
      ...made,
      audit: 'snapshot.delete',
      snapshot: 'snap-1',
    })
    assert.deepEqual(await lineOf(SNAPSHOTS, { method: 'DELETE' }), { ...made, audit: 'snapshot.purge' })
  })

  it('has each lease that is taken or released, with its holder', async () => {
    const path = `${SNAPSHOTS}/snap-2/lease`
    const made = { ...nothing, outcome: 'ok', user: 'tester', client, vm: VM.name, snapshot: 'snap-2' }
    const body = JSON.stringify({ ttl: '1h', holder: 'backup' })
    assert.deepEqual(await lineOf(path, { method: 'PUT', body }), { ...made, audit: 'lease.take' })
    assert.deepEqual(await lineOf(`${path}?holder=backup`, { method: 'DELETE' }), {
      ...made,
      audit: 'lease.release',
    })
    const holders = server.entries().filter((entry) => String(entry.audit).startsWith('lease.'))
    assert.deepEqual(
      holders.map(({ holder }) => holder),
      ['backup', 'backup'],
    )
  })

  it('tells what failed, and why', async () => {
    server.fake.before = async () => {
      throw new DiskferryError('VM_BUSY', 'busy')
    }
    const { outcome, code } = await lineOf(SNAPSHOTS, { method: 'POST' })
    assert.deepEqual([outcome, code], ['failed', 'VM_BUSY'])
  })
})

describe('the audit log of what is refused before any work', () => {
  let server: ApiServer
  before(async () => {
    server = await ApiServer.start()
  })
  after(() => server[Symbol.asyncDispose]())

  const LEASE = `${SNAPSHOTS}/snap-1/lease`
  const login = (body: string): SendOptions => ({ method: 'POST', authorization: null, body })
  const LOGIN = '/api/v1/auth/login'
  const REFUSED: readonly (readonly [string, SendOptions, Partial<AuditLine>])[] = [
    [LOGIN, login('{"username": "admin"}'), { audit: 'login', user: 'admin' }],
    [LOGIN, login('{"username": ["admin"], "password": "x"}'), { audit: 'login' }],
    [LOGIN, login('no JSON'), { audit: 'login' }],
    [LOGIN, login('x'.repeat(70_000)), { audit: 'login' }],
    ['/api/v1/vms/a%0Ab/snapshots', { method: 'POST' }, { audit: 'snapshot.create', vm: 'a\nb' }],
    [
      `/api/v1/vms/${'x'.repeat(300)}/snapshots`,
      { method: 'POST' },
      { audit: 'snapshot.create', vm: 'x'.repeat(256) },
    ],
    [`${SNAPSHOTS}?force=maybe`, { method: 'DELETE' }, { audit: 'snapshot.purge' }],
    [
      `${SNAPSHOTS}/snap-1?force=maybe`,
      { method: 'DELETE' },
      { audit: 'snapshot.delete', snapshot: 'snap-1' },
    ],
    [LEASE, { method: 'PUT', body: '{"ttl": 1}' }, { audit: 'lease.take', snapshot: 'snap-1' }],
    [
      LEASE,
      { method: 'PUT', body: '{"ttl": "1d", "holder": "chain"}' },
      { audit: 'lease.take', snapshot: 'snap-1', holder: 'chain' },
    ],
    [
      `${LEASE}?holder=${'x'.repeat(300)}`,
      { method: 'DELETE' },
      { audit: 'lease.release', snapshot: 'snap-1' },
    ],
  ]

  for (const [path, options, expected] of REFUSED) {
    const { body = '' } = options
    const shown = `${options.method} ${path.slice(0, 60)} ${String(body).slice(0, 40)}`
    it(`has one line for ${shown}`, async () => {
      const { status, headers } = await server.send(path, options)
      assert.ok(status === 400 || status === 413, String(status))
      const lines = auditLinesOf(server, headers)
      const { audit, outcome, code, user, client, vm, snapshot, holder } = lines[0]!
      const isLogin = expected.audit === 'login'
      const whole = {
        outcome: 'failed',
        code: 'INVALID_REQUEST',
        user: isLogin ? null : 'tester',
        client: '127.0.0.1',
        vm: isLogin ? undefined : VM.name,
        snapshot: undefined,
        holder: undefined,
        ...expected,
      }
      const told = { audit, outcome, code, user, client, vm, snapshot, holder }
      assert.deepEqual([told, lines.length], [whole, 1])
    })
  }

  it('has none for who shows no token, nor for a question', async () => {
    await server.send(`${SNAPSHOTS}?force=maybe`, { method: 'DELETE', authorization: null })
    await server.send(`${SNAPSHOTS}/snap-1?squashChunks=maybe`)
    assert.equal(server.entries().filter((entry) => 'audit' in entry).length, REFUSED.length)
  })
})

describe('the audit log of a program that logs nothing but errors', () => {
  it('is there all the same', async () => {
    await using quiet = await ApiServer.start({ logLevel: 'error' })
    await quiet.send(SNAPSHOTS, { method: 'POST' })
    assert.deepEqual(
      quiet.entries().map(({ audit }) => audit),
      ['snapshot.create'],
    )
  })
})
