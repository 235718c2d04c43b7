import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { snapshotJson, snapshotListJson } from '../../api/snapshot-json.ts'
import type { Chunk } from '../../core/services.ts'
import { CREATED_AT, snapshotMap } from './support/fake-services.ts'
import { schemaViolation } from './support/schema-check.ts'

const SNAPSHOT = { $ref: 'Snapshot#' }
const LIST = { type: 'array', items: SNAPSHOT }

async function text(pieces: AsyncIterable<string>): Promise<string> {
  let joined = ''
  for await (const piece of pieces) joined += piece
  return joined
}

function* manyChunks(count: number): Generator<Chunk> {
  for (let index = 0; index < count; index += 1) {
    const zero = index % 3 === 0
    yield { start: index * 8192, length: 4096, physicalStart: zero ? 0 : index * 4096, zero }
  }
}

describe('snapshotJson()', () => {
  it('writes every field, the doubled ones too', async () => {
    const diff = { method: 'content', fallbackReason: 'inline', changedBytes: 4096, zeroBytes: 7 } as const
    const snapshot = snapshotMap('s "1"', 'vm\n', [{ diff }])
    assert.deepEqual(JSON.parse(await text(snapshotJson(snapshot))), {
      id: 's "1"',
      vm_id: 'vm\n',
      vmID: 'vm\n',
      created_at: CREATED_AT,
      state: 'ready',
      consistency: 'crash',
      consistency_reason: null,
      stall_ms: 12.345,
      skew_ms: 0,
      stall_forecast_ms: null,
      lease: null,
      disks: [
        {
          parent_path: '/OVS/Repositories/r1/VirtualDisks/system.img',
          path: '/OVS/Repositories/r1/CoriolisSnapshots/s "1"/system.img',
          snapshot_id: 's "1"',
          snapshotID: 's "1"',
          name: 'system.img',
          repo_mountpoint: '/OVS/Repositories/r1',
          size: Number.MAX_SAFE_INTEGER,
          backend: 'xfs',
          diff: { method: 'content', fallback_reason: 'inline', changed_bytes: 4096, zero_bytes: 7 },
          chunks: [
            { start: 0, length: 4096, physical_start: 8192 },
            { start: 4096, length: 9007199254736895, physical_start: 0, zero: true },
          ],
        },
      ],
    })
  })

  it('writes no chunks as [], no disks as [] and no diff where there is none', async () => {
    const empty = JSON.parse(await text(snapshotJson(snapshotMap('s', 'v', [{ chunks: [] }]))))
    assert.deepEqual(empty.disks[0].chunks, [])
    assert.ok(!('diff' in empty.disks[0]))
    assert.deepEqual(JSON.parse(await text(snapshotJson(snapshotMap('s', 'v', [])))).disks, [])
  })

  it('writes of a damaged snapshot that it is, and why', async () => {
    const damage = 'the file of disk system.img is missing'
    const damaged = { ...snapshotMap('s', 'v', [{ damage }, {}]), damage }
    const json = await text(snapshotListJson([damaged]))
    assert.equal(await schemaViolation(LIST, json), undefined)
    const [{ state, damage: reason, disks }] = JSON.parse(json)
    assert.deepEqual(
      [state, reason, disks[0].damage, 'damage' in disks[1]],
      ['damaged', damage, damage, false],
    )
  })

  it('writes lists of none, one and several', async () => {
    const one = snapshotMap('s1', 'v', [{}, { name: 'ü.img' }])
    assert.equal(await text(snapshotListJson([])), '[]')
    const list = JSON.parse(await text(snapshotListJson([one, snapshotMap('s2', 'v'), one])))
    assert.deepEqual(
      list.map((snapshot: { id: string }) => snapshot.id),
      ['s1', 's2', 's1'],
    )
    assert.equal(list[2].disks[1].name, 'ü.img')
  })

  it('keeps to the response schema', async () => {
    const diff = { method: 'physical', fallbackReason: null, changedBytes: 1, zeroBytes: 0 } as const
    const disks = [{ chunks: [...manyChunks(5000)], diff }, { chunks: [] }, {}]
    const snapshot = snapshotMap('s', 'v', disks)
    const json = await text(snapshotJson(snapshot))
    assert.equal(await schemaViolation(SNAPSHOT, json), undefined)
    assert.equal(await schemaViolation(LIST, await text(snapshotListJson([snapshot, snapshot]))), undefined)
    assert.match(
      (await schemaViolation(SNAPSHOT, json.replace('"physical_start"', '"physical"')))!,
      /physical_start/,
    )
    assert.match((await schemaViolation(SNAPSHOT, json.replace('true', 'false')))!, /zero/)
  })

  it('makes pieces of about 64 KiB and lets timers run between them', async () => {
    let turns = 0
    let waiting: NodeJS.Immediate
    const tick = () => {
      turns += 1
      waiting = setImmediate(tick)
    }
    waiting = setImmediate(tick)
    let count = 0
    for await (const piece of snapshotJson(snapshotMap('s', 'v', [{ chunks: [...manyChunks(50_000)] }]))) {
      count += 1
      assert.ok(piece.length < 66 * 1024, `a piece has ${piece.length} characters`)
    }
    clearImmediate(waiting)
    assert.ok(count > 20, `${count} pieces`)
    assert.ok(turns >= count - 1, `${turns} turns of the event loop for ${count} pieces`)
  })
})
