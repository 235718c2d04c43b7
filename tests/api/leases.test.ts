import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { DiskferryError } from '../../core/errors.ts'
import { LEASE, VM } from './support/fake-services.ts'
import { schemaViolation } from './support/schema-check.ts'
import { ApiServer } from './support/server.ts'

const SNAPSHOT = `/api/v1/vms/${VM.name}/snapshots/snap-1`
const SHOWN = { holder: LEASE.holder, taken_at: LEASE.takenAt, expires_at: LEASE.expiresAt }

describe('leases', () => {
  let server: ApiServer

  before(async () => {
    server = await ApiServer.start()
  })
  beforeEach(() => {
    server.fake.calls.length = 0
    server.fake.before = async () => undefined
  })
  after(() => server[Symbol.asyncDispose]())

  const put = (body: string) => server.send(`${SNAPSHOT}/lease`, { method: 'PUT', body })

  it('are taken with a duration as in Go, by a holder in any words', async () => {
    const answer = await put('{"ttl": "1h30m", "holder": "Väterchen \\"x\\"", "other": 1}')
    assert.equal(answer.status, 200)
    assert.deepEqual(answer.json(), { ...SHOWN, holder: 'Väterchen "x"' })
    assert.deepEqual(server.fake.calls[0]?.args, [
      VM.name,
      'snap-1',
      { holder: 'Väterchen "x"', ttlMs: 5_400_000 },
    ])
    const { audit, outcome, user, holder, snapshot, expires_at } = server
      .entries()
      .findLast((entry) => 'audit' in entry) as unknown as Record<string, unknown>
    assert.deepEqual(
      { audit, outcome, user, holder, snapshot, expires_at },
      {
        audit: 'lease.take',
        outcome: 'ok',
        user: 'tester',
        holder: 'Väterchen "x"',
        snapshot: 'snap-1',
        expires_at: SHOWN.expires_at,
      },
    )
  })

  it('are refused without a sound ttl and holder, and nobody is asked', async () => {
    for (const [body, details] of [
      ['', /body/],
      ['{', /not JSON.*"ttl"/],
      ['[]', /body must be object/],
      ['{"ttl": "1h"}', /holder/],
      ['{"holder": "x"}', /ttl/],
      ['{"ttl": 3600, "holder": "x"}', /ttl in the body must be string/],
      ['{"ttl": "0.9s", "holder": "x"}', /from 1s to 744h/],
      ['{"ttl": "744h1ms", "holder": "x"}', /from 1s to 744h/],
      ['{"ttl": "-1h", "holder": "x"}', /from 1s to 744h/],
      ['{"ttl": "a day", "holder": "x"}', /from 1s to 744h/],
      ['{"ttl": "1h", "holder": ""}', /holder in the body/],
      ['{"ttl": "1h", "holder": "a\\nb"}', /holder in the body must not hold control/],
      [`{"ttl": "1h", "holder": "${'x'.repeat(129)}"}`, /holder in the body.*128/],
    ] as const) {
      const answer = await put(body)
      assert.equal(answer.status, 400, body)
      assert.match(answer.refusal().details, details, body)
    }
    assert.deepEqual(server.fake.calls, [])
  })

  it('are shown by themselves and in the snapshot', async () => {
    const answer = await server.send(`${SNAPSHOT}/lease`)
    assert.deepEqual(answer.json(), SHOWN)
    const free = await server.send(SNAPSHOT)
    assert.equal((free.json() as { lease: unknown }).lease, null)
    const snapshot = server.fake.snapshots.get('snap-1')!
    server.fake.snapshots.set('snap-1', { ...snapshot, lease: LEASE })
    const held = await server.send(SNAPSHOT)
    server.fake.snapshots.set('snap-1', snapshot)
    assert.equal(await schemaViolation({ $ref: 'Snapshot#' }, held.body.toString()), undefined)
    assert.deepEqual((held.json() as { lease: unknown }).lease, SHOWN)
  })

  it('are released, whoever holds them or by a holder', async () => {
    for (const [query, holder] of [
      ['', undefined],
      ['?holder=weekly%20chain', 'weekly chain'],
    ] as const) {
      const answer = await server.send(`${SNAPSHOT}/lease${query}`, { method: 'DELETE', body: 'ignored' })
      assert.equal(answer.status, 200)
      assert.equal(answer.body.length, 0)
      assert.deepEqual(server.fake.calls.at(-1)?.args, [VM.name, 'snap-1', holder])
    }
  })

  it('stand in the way of a deletion unless force says otherwise', async () => {
    server.fake.before = async ({ args }) => {
      const { force } = args.at(-1) as { force?: boolean }
      if (force !== true) throw new DiskferryError('SNAPSHOT_LEASED', 'leased by "x" until then')
    }
    for (const path of [SNAPSHOT, `/api/v1/vms/${VM.name}/snapshots`]) {
      const refused = await server.send(path, { method: 'DELETE' })
      assert.equal(refused.status, 409)
      assert.deepEqual(refused.refusal(), {
        error: 'Conflict',
        details: 'leased by "x" until then',
        code: 'SNAPSHOT_LEASED',
      })
      assert.equal((await server.send(`${path}?force=no`, { method: 'DELETE' })).status, 400)
      assert.equal((await server.send(`${path}?force=true`, { method: 'DELETE' })).status, 200)
    }
  })
})
