/** The server is killed at each step of what it does; a snapshot is whole or gone after the next start. */

import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import type { FaultPoint } from '../../core/fault-points.ts'
import type { ApiClient } from '../support/api-client.ts'
import { ACROSS, BESIDE, type CrashBench, REFUSED } from '../support/crash-bench.ts'
import { crashTest } from '../support/crash-test.ts'
import { hookProgram } from '../support/hook-program.ts'
import { CRASH_CASES } from './crash-cases.ts'

const SNAPSHOTS_OF_ACROSS = `/api/v1/vms/${ACROSS}/snapshots`
const HOLDER = 'chain'
const LEASE = JSON.stringify({ ttl: '1h', holder: HOLDER })
const REFUSING_BACKEND = fileURLToPath(new URL('../fixtures/refusing-backend.ts', import.meta.url))
const REFUSING = `[[backends]]\nmodule = ${JSON.stringify(REFUSING_BACKEND)}\n`

crashTest(
  'a server killed at any step of create() leaves a snapshot whole or gone',
  async (bench, { signal }) => {
    await bench.onServer(async (client) => {
      await bench.snapshot(client, BESIDE)
      await bench.snapshot(client, ACROSS)
      await bench.snapshot(client, ACROSS)
    })
    for (const fault of CRASH_CASES.create) {
      signal.throwIfAborted()
      await bench.guestsWrite()
      const disks = bench.disksNow(ACROSS)
      await bench.dieAt(fault, 'POST', SNAPSHOTS_OF_ACROSS, (client) => bench.verify(client))
      const files = await bench.files()
      if (fault.startsWith('clone.')) {
        assert.ok(
          files.some((path) => /\/[0-9a-f-]{36}\/\.clone-/.test(path)),
          `${fault} is that of a disk: ${files}`,
        )
      }
      if (!survives(fault)) continue
      await bench.onServer(async (client) => {
        const made = (await bench.listed(client, ACROSS)).at(-1)!
        assert.ok(!bench.idsOf(ACROSS).includes(made), 'a snapshot that was recorded as ready is kept')
        bench.expect(ACROSS, made, disks)
      })
    }
    await bench.onServer((client) => bench.verify(client))
  },
)

crashTest(
  'a server killed at any step of delete() or purge() forgets the snapshot, and only that',
  async (bench, { signal }) => {
    await bench.onServer(async (client) => {
      await bench.snapshot(client, BESIDE)
      await bench.snapshot(client, ACROSS)
    })
    for (const fault of CRASH_CASES.delete) {
      signal.throwIfAborted()
      let doomed = ''
      await bench.onServer(async (client) => {
        await bench.verify(client)
        doomed = await bench.snapshot(client, ACROSS)
        await bench.snapshot(client, ACROSS)
      })
      await bench.dieAt(fault, 'DELETE', `${SNAPSHOTS_OF_ACROSS}/${doomed}`)
      bench.forget(ACROSS, doomed)
      await bench.onServer(async (client) => {
        await bench.verify(client)
        // Few, so that the next case is not slower than this one.
        const last = bench.idsOf(ACROSS).at(-1)!
        await client.deleteSnapshot(ACROSS, last)
        bench.forget(ACROSS, last)
      })
    }
    for (const fault of CRASH_CASES.purge) {
      signal.throwIfAborted()
      await bench.onServer(async (client) => {
        while (bench.idsOf(ACROSS).length < 3) await bench.snapshot(client, ACROSS)
      })
      await bench.dieAt(fault, 'DELETE', SNAPSHOTS_OF_ACROSS)
      // Those that purge had not come to are whole.
      for (const id of bench.idsOf(ACROSS).slice(0, fault.includes(':') ? 2 : 1)) bench.forget(ACROSS, id)
      await bench.onServer((client) => bench.verify(client))
    }
  },
)

crashTest(
  'a server killed while it rolls back a snapshot that failed leaves nothing of it',
  async (bench, { signal }) => {
    bench.extraConfig = REFUSING
    await bench.onServer(async (client) => {
      await bench.snapshot(client, BESIDE)
      const { statusCode, body } = await client.call('POST', `/api/v1/vms/${REFUSED}/snapshots`)
      assert.match(await body.text(), /CLONE_FAILED/)
      assert.equal(statusCode, 500)
      await bench.verify(client)
    })
    for (const fault of CRASH_CASES.rollback) {
      signal.throwIfAborted()
      // No check before it: on a server with the fault, that would be the recovery of the case before.
      await bench.dieAt(fault, 'POST', `/api/v1/vms/${REFUSED}/snapshots`)
      await bench.onServer((client) => bench.verify(client))
    }
    await bench.onServer((client) => bench.verify(client))
  },
)

crashTest(
  'a server killed in its recovery, and again in the next one, recovers at last',
  async (bench, { signal }) => {
    await bench.onServer(async (client) => {
      await bench.snapshot(client, BESIDE)
      await bench.snapshot(client, ACROSS)
      await bench.snapshot(client, ACROSS)
    })
    for (const fault of CRASH_CASES.recovery) {
      signal.throwIfAborted()
      await bench.dieAt('create.mapped', 'POST', SNAPSHOTS_OF_ACROSS, (client) => bench.verify(client))
      await bench.dieAtStart(fault)
      // Past the last step there is nothing left to recover.
      if (fault.startsWith('recover.forgotten')) continue
      await bench.dieAtStart(again(fault))
    }
    await bench.onServer((client) => bench.verify(client))
  },
)

crashTest(
  'a server killed while it tries a clone leaves no trial for the next one',
  async (bench, { signal }) => {
    await bench.onServer(async (client) => void (await bench.snapshot(client, ACROSS)))
    for (const fault of CRASH_CASES.trial) {
      signal.throwIfAborted()
      await bench.dieAtStart(fault)
      await bench.onServer((client) => bench.verify(client))
    }
  },
)

crashTest(
  'a server killed at any step between the hooks lets the guest go on at its next start',
  async (bench, { signal }) => {
    await bench.onServer(async (client) => void (await bench.snapshot(client, ACROSS)))
    const before = await hookProgram(bench.directory, 'before', '')
    const after = await hookProgram(bench.directory, 'after', '')
    bench.extraConfig = `[quiesce]\nbefore = [${JSON.stringify(before.path)}, "{vm}"]\nafter = [${JSON.stringify(after.path)}, "{vm}"]\n`
    let killedWith: { readonly before: number; readonly after: number } | undefined
    /** What the start of this server has made of the server that was killed. */
    const recovered = async (client: ApiClient) => {
      if (killedWith !== undefined) await after.called(killedWith.after + 1)
      await bench.verify(client)
      assert.equal((await before.calls()).length, killedWith?.before ?? 0)
      assert.equal((await after.calls()).length, killedWith === undefined ? 0 : killedWith.after + 1)
    }
    for (const fault of CRASH_CASES.quiesce) {
      signal.throwIfAborted()
      const earlier = { before: (await before.calls()).length, after: killedWith ? killedWith.after + 1 : 0 }
      await bench.dieAt(fault, 'POST', SNAPSHOTS_OF_ACROSS, recovered)
      const ran = { before: (await before.calls()).length, after: (await after.calls()).length }
      assert.equal(ran.before - earlier.before, fault === 'quiesce.begun' ? 0 : 1, `before, at ${fault}`)
      assert.equal(ran.after - earlier.after, fault === 'quiesce.released' ? 1 : 0, `after, at ${fault}`)
      killedWith = ran
    }
    await bench.onServer(recovered)
    assert.deepEqual(new Set([...(await before.calls()), ...(await after.calls())]), new Set([`<${ACROSS}>`]))
  },
)

crashTest(
  'a server killed while it writes a lease leaves the snapshot leased or not, and never by half',
  async (bench, { signal }) => {
    let id = ''
    await bench.onServer(async (client) => {
      await bench.snapshot(client, BESIDE)
      id = await bench.snapshot(client, ACROSS)
    })
    const lease = `${SNAPSHOTS_OF_ACROSS}/${id}/lease`
    let last: { readonly fault: string; readonly held: boolean } | undefined
    /** What is left of the server that was killed; then nobody holds a lease, and nothing of one is there. */
    const settle = async (client: ApiClient) => {
      if (last !== undefined) await assertLeased(bench, client, id, last)
      last = undefined
      await client.json('DELETE', lease)
      await bench.verify(client)
    }
    for (const fault of CRASH_CASES.lease) {
      signal.throwIfAborted()
      await bench.dieAt(fault, 'PUT', lease, settle, LEASE)
      // One file of a lease is enough to hold it, and until the first has its name there is none.
      last = { fault, held: fault !== 'lease.file-half' && fault !== 'lease.file-written' }
    }
    await bench.onServer(settle)
    for (const fault of CRASH_CASES.release) {
      signal.throwIfAborted()
      await bench.dieAt(fault, 'DELETE', lease, async (client) => {
        if (last !== undefined) await assertLeased(bench, client, id, last)
        await client.json('PUT', lease, { body: LEASE })
        bench.leased.set(id, HOLDER)
        await bench.verify(client)
      })
      bench.leased.delete(id)
      last = { fault, held: fault !== 'lease.forgotten' }
    }
    await bench.onServer(settle)
  },
)

crashTest(
  'a server killed while it renews a lease leaves it held, and the half of a new one goes with the snapshot',
  async (bench) => {
    let id = ''
    await bench.onServer(async (client) => {
      id = await bench.snapshot(client, ACROSS)
      await client.json('PUT', `${SNAPSHOTS_OF_ACROSS}/${id}/lease`, { body: LEASE })
      bench.leased.set(id, HOLDER)
      await bench.verify(client)
    })
    for (const fault of ['lease.file-named:2', 'lease.file-half'] as const) {
      await bench.dieAt(
        fault,
        'PUT',
        `${SNAPSHOTS_OF_ACROSS}/${id}/lease`,
        (client) => assertLeased(bench, client, id, { fault, held: true }),
        LEASE,
      )
    }
    assert.ok((await bench.files()).some((path) => path.endsWith('/.snapshot.lease.json.new')))
    await bench.onServer(async (client) => {
      await assertLeased(bench, client, id, { fault: 'the last', held: true })
      await client.json('DELETE', `${SNAPSHOTS_OF_ACROSS}/${id}?force=true`)
      bench.forget(ACROSS, id)
      bench.leased.delete(id)
      await bench.verify(client)
    })
  },
)

/** A lease that is held keeps the snapshot; one that is not held keeps nobody from anything. */
async function assertLeased(
  bench: CrashBench,
  client: ApiClient,
  id: string,
  { fault, held }: { readonly fault: string; readonly held: boolean },
): Promise<void> {
  assert.equal(await bench.holderOf(client, ACROSS, id), held ? HOLDER : undefined, fault)
  if (!held) return
  const { statusCode, body } = await client.call('DELETE', `${SNAPSHOTS_OF_ACROSS}/${id}`)
  assert.match(await body.text(), /SNAPSHOT_LEASED/, fault)
  assert.equal(statusCode, 409)
}

function survives(fault: string): boolean {
  return fault === ('create.ready' satisfies FaultPoint)
}

/** The n-th time of one start is the first of the next: what was done before the kill is not done again. */
function again(fault: string): string {
  return fault.split(':')[0]!
}
