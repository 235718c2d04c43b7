import assert from 'node:assert/strict'
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

describe('the audit log', () => {
  let server: ApiServer
  before(async () => {
    server = await ApiServer.start()
  })
  after(() => server[Symbol.asyncDispose]())

  /** The one line that a request made, without what differs at each run. */
  async function lineOf(path: string, options: SendOptions) {
    const { headers } = await server.send(path, options)
    const lines = server
      .entries()
      .filter((entry): entry is AuditLine => 'audit' in entry && entry.requestId === headers['x-request-id'])
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
