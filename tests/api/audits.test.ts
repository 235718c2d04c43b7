import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { DiskferryError } from '../../core/errors.ts'
import { VM } from './support/fake-services.ts'
import { schemaViolation } from './support/schema-check.ts'
import { ApiServer } from './support/server.ts'

const AUDIT = `/api/v1/vms/${VM.name}/snapshots/snap-2/audit`

describe('audits', () => {
  let server: ApiServer

  before(async () => {
    server = await ApiServer.start()
  })
  beforeEach(() => {
    server.fake.calls.length = 0
    server.fake.before = async () => undefined
  })
  after(() => server[Symbol.asyncDispose]())

  it('begin with 202 and what was asked for', async () => {
    const body = JSON.stringify({ compareTo: 'snap-1', sample: 1000, seed: 7, rate: 65_536, other: true })
    const answer = await server.send(AUDIT, { method: 'POST', body })
    assert.equal(answer.status, 202)
    assert.equal(await schemaViolation({ $ref: 'Audit#' }, answer.body.toString()), undefined)
    const options = { compareTo: 'snap-1', sample: 1000, seed: 7, rate: 65_536 }
    assert.deepEqual(server.fake.calls[0]?.args, [VM.name, 'snap-2', options])
  })

  it('read everything when no sample is asked for, whatever type the body is said to have', async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    await server.send(AUDIT, { method: 'POST', body: '{"compareTo": "snap-1"}', headers })
    assert.deepEqual(server.fake.calls[0]?.args, [VM.name, 'snap-2', { compareTo: 'snap-1' }])
  })

  for (const [what, body] of [
    ['no body', undefined],
    ['a body that is no JSON', 'compareTo=snap-1'],
    ['a body that is no object', '[]'],
    ['no compareTo', '{}'],
    ['an empty compareTo', '{"compareTo": ""}'],
    ['an empty sample', '{"compareTo": "snap-1", "sample": 0}'],
    ['a fraction as a sample', '{"compareTo": "snap-1", "sample": 0.5}'],
    ['a sample in words', '{"compareTo": "snap-1", "sample": "all"}'],
    ['a seed out of range', '{"compareTo": "snap-1", "seed": 4294967296}'],
    ['a rate at which no audit ends', '{"compareTo": "snap-1", "rate": 1}'],
  ] as const) {
    it(`are refused with ${what}`, async () => {
      const answer = await server.send(AUDIT, { method: 'POST', ...(body !== undefined && { body }) })
      assert.equal(answer.status, 400)
      assert.equal(answer.refusal().code, 'INVALID_REQUEST')
      assert.deepEqual(server.fake.calls, [])
    })
  }

  it('are shown, with a sentence that says how far they are', async () => {
    const answer = await server.send(AUDIT)
    assert.equal(answer.status, 200)
    assert.equal(await schemaViolation({ $ref: 'Audit#' }, answer.body.toString()), undefined)
    const { verdict, mismatches } = answer.json() as { verdict: string; mismatches: object[] }
    assert.match(verdict, /17 of 1001 blocks/)
    assert.deepEqual(Object.keys(mismatches[0]!), ['disk', 'path', 'start', 'length', 'told', 'backend'])
  })

  it('are ended by DELETE, with or without a body', async () => {
    for (const body of [undefined, 'nothing in particular']) {
      const answer = await server.send(AUDIT, { method: 'DELETE', ...(body !== undefined && { body }) })
      assert.equal(answer.status, 200)
      assert.equal((answer.json() as { state: string }).state, 'aborted')
    }
  })

  for (const [code, status] of [
    ['AUDIT_RUNNING', 409],
    ['AUDIT_LIMIT', 429],
    ['AUDIT_NOT_FOUND', 404],
  ] as const) {
    it(`answer ${status} for ${code}`, async () => {
      server.fake.before = async () => {
        throw new DiskferryError(code, 'what happened')
      }
      const answer = await server.send(AUDIT)
      assert.equal(answer.status, status)
      assert.equal(answer.refusal().details, 'what happened')
    })
  }
})

describe('metrics', () => {
  it('are text, and need no token', async () => {
    await using server = await ApiServer.start()
    const answer = await server.send('/metrics', { authorization: null })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
    assert.equal(answer.body.toString(), '# TYPE one counter\none 1\n')
  })
})
