import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { DiskferryError, type ErrorCode } from '../../core/errors.ts'
import type { Chunk } from '../../core/services.ts'
import { snapshotMap, VM } from './support/fake-services.ts'
import { schemaViolation } from './support/schema-check.ts'
import { ApiServer } from './support/server.ts'

const SNAPSHOTS = `/api/v1/vms/${VM.name}/snapshots`

describe('snapshots', () => {
  let server: ApiServer

  before(async () => {
    server = await ApiServer.start()
  })
  beforeEach(() => {
    server.fake.calls.length = 0
    server.fake.before = async () => undefined
  })
  after(() => server[Symbol.asyncDispose]())

  /** The options with which the service was asked for the snapshot. */
  async function optionsFor(query: string): Promise<unknown> {
    const answer = await server.send(`${SNAPSHOTS}/snap-2${query}`)
    assert.equal(answer.status, 200, query)
    return server.fake.calls.at(-1)?.args[2]
  }

  it('are listed squashed', async () => {
    const answer = await server.send(SNAPSHOTS)
    assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
    assert.equal(
      await schemaViolation({ type: 'array', items: { $ref: 'Snapshot#' } }, answer.body.toString()),
      undefined,
    )
    assert.deepEqual(
      (answer.json() as { id: string }[]).map(({ id }) => id),
      ['snap-1', 'snap-2'],
    )
    assert.deepEqual(server.fake.calls[0]?.args, [VM.name, { squash: true }])
  })

  it('are created with status 200, not squashed', async () => {
    const answer = await server.send(SNAPSHOTS, { method: 'POST' })
    assert.equal(answer.status, 200)
    assert.equal(await schemaViolation({ $ref: 'Snapshot#' }, answer.body.toString()), undefined)
    assert.deepEqual(server.fake.calls[0]?.args, [VM.name, { squash: false }])
  })

  it('are squashed by default and as squashChunks says', async () => {
    assert.deepEqual(await optionsFor(''), { squash: true, refine: false })
    assert.deepEqual(await optionsFor('?squashChunks='), { squash: true, refine: false })
    for (const [squash, spellings] of [
      [true, ['1', 't', 'T', 'TRUE', 'true', 'True']],
      [false, ['0', 'f', 'F', 'FALSE', 'false', 'False']],
    ] as const) {
      for (const spelling of spellings) {
        assert.deepEqual(await optionsFor(`?squashChunks=${spelling}`), { squash, refine: false })
        assert.deepEqual(await optionsFor(`?refine=${spelling}`), { squash: true, refine: squash })
      }
    }
  })

  it('are compared to an older one; an empty compareTo means none', async () => {
    assert.deepEqual(await optionsFor('?compareTo=snap%2D1&squashChunks=False&refine=1'), {
      squash: false,
      refine: true,
      compareTo: 'snap-1',
    })
    assert.deepEqual(await optionsFor('?compareTo=&squashChunks=t'), { squash: true, refine: false })
  })

  it('ignore query keys that they do not know', async () => {
    assert.deepEqual(await optionsFor('?squash=no&squashchunks=no&x=1&x=2&__proto__=1&=&&'), {
      squash: true,
      refine: false,
    })
  })

  it('refuse a bad or repeated query key, saying which', async () => {
    for (const [query, details] of [
      ['squashChunks=yes', /squashChunks.*must be one of 1, t, T/],
      ['squashChunks=tRue', /squashChunks/],
      ['squashChunks=%20true', /squashChunks/],
      ['squashChunks=1&squashChunks=1', /squashChunks.*must be given once/],
      ['refine=2', /refine/],
      ['refine=1&refine=0', /refine.*must be given once/],
      ['compareTo=a&compareTo=b', /compareTo.*must be given once/],
      ['compareTo=a%00b', /compareTo.*control characters/],
      ['compareTo=a%0Ab', /compareTo.*control characters/],
      [`compareTo=${'x'.repeat(256)}`, /compareTo.*255/],
    ] as const) {
      const answer = await server.send(`${SNAPSHOTS}/snap-2?${query}`)
      assert.equal(answer.status, 400, query)
      assert.match(answer.refusal().details, details)
    }
    assert.deepEqual(server.fake.calls, [])
  })

  it('are deleted and purged with 200 and an empty body, whether or not there are any', async () => {
    for (const path of [`${SNAPSHOTS}/snap-1`, `${SNAPSHOTS}/never-was`, SNAPSHOTS]) {
      const answer = await server.send(path, { method: 'DELETE' })
      assert.equal(answer.status, 200, path)
      assert.equal(answer.body.length, 0, path)
      assert.equal(answer.headers['content-length'], '0', path)
    }
    assert.deepEqual(
      server.fake.calls.map(({ method, args }) => [method, ...args]),
      [
        ['snapshots.delete', VM.name, 'snap-1', { force: false, user: 'tester' }],
        ['snapshots.delete', VM.name, 'never-was', { force: false, user: 'tester' }],
        ['snapshots.purge', VM.name, { force: false, user: 'tester' }],
      ],
    )
  })

  it('whose chunks fail at once are a whole error, and broken off when they fail later', async () => {
    function* failing(after: number): Generator<Chunk> {
      for (let index = 0; index < after; index += 1) {
        yield { start: index * 8192, length: 4096, physicalStart: 0, zero: false }
      }
      throw new DiskferryError('MAP_FAILED', 'the map ends in the middle')
    }
    const fails = (after: number) => ({ [Symbol.iterator]: () => failing(after) })
    server.fake.snapshots.set('at-once', snapshotMap('at-once', VM.name, [{ chunks: fails(1) }]))
    server.fake.snapshots.set('later', snapshotMap('later', VM.name, [{ chunks: fails(10_000) }]))
    const answer = await server.send(`${SNAPSHOTS}/at-once`)
    assert.deepEqual([answer.status, answer.refusal().code], [500, 'MAP_FAILED'])
    await assert.rejects(server.send(`${SNAPSHOTS}/later`))
    const broken = server.entries().find(({ msg }) => msg === 'the answer was broken off')
    assert.equal(broken?.level, 50)
    server.fake.snapshots.delete('at-once')
    server.fake.snapshots.delete('later')
  })

  it('of another VM are not found', async () => {
    server.fake.vms = [VM, { ...VM, name: 'other' }]
    const answer = await server.send('/api/v1/vms/other/snapshots/snap-1')
    assert.equal(answer.status, 404)
    assert.equal(answer.refusal().code, 'SNAPSHOT_NOT_FOUND')
  })

  it('answer with the status of the error that the core gives', async () => {
    const statuses: Partial<Record<ErrorCode, number>> = {
      COMPARE_NOT_OLDER: 400,
      VM_NOT_COMPATIBLE: 400,
      VM_NOT_FOUND: 404,
      VM_BUSY: 409,
      SNAPSHOT_DAMAGED: 409,
      CLONE_FAILED: 500,
      REPOSITORY_NOT_MOUNTED: 503,
      REPOSITORY_FULL: 507,
    }
    for (const [code, status] of Object.entries(statuses) as [ErrorCode, number][]) {
      server.fake.before = async () => {
        throw new DiskferryError(code, 'what happened')
      }
      for (const [method, path] of [
        ['POST', SNAPSHOTS],
        ['GET', `${SNAPSHOTS}/snap-1?compareTo=snap-2`],
        ['GET', SNAPSHOTS],
      ] as const) {
        const answer = await server.send(path, { method })
        assert.equal(answer.status, status, code)
        assert.equal(answer.refusal().code, code)
        if (status < 500) assert.equal(answer.refusal().details, 'what happened')
      }
    }
  })
})
