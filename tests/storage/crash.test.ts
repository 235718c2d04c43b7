/** The server is killed at each step of what it does; a snapshot is whole or gone after the next start. */

import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import type { FaultPoint } from '../../core/fault-points.ts'
import type { ApiClient } from '../support/api-client.ts'
import { ACROSS, BESIDE, type CrashBench, type DeadlyRequest, REFUSED } from '../support/crash-bench.ts'
import { crashTest } from '../support/crash-test.ts'
import { hookProgram } from '../support/hook-program.ts'
import { CRASH_CASES } from './crash-cases.ts'

const SNAPSHOTS_OF_ACROSS = `/api/v1/vms/${ACROSS}/snapshots`
const HOLDER = 'chain'
const LEASE = JSON.stringify({ ttl: '1h', holder: HOLDER })
const CREATE: DeadlyRequest = { method: 'POST', path: SNAPSHOTS_OF_ACROSS }
const PURGE: DeadlyRequest = { method: 'DELETE', path: SNAPSHOTS_OF_ACROSS }
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
      await bench.dieAt(fault, async (client) => {
        await bench.verify(client)
        return CREATE
      })
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
      await bench.dieAt(fault, async (client) => {
        await bench.verify(client)
        // Few, so that the next case is not slower than this one.
        const last = bench.idsOf(ACROSS).at(-1)!
        await client.deleteSnapshot(ACROSS, last)
        bench.forget(ACROSS, last)
        doomed = await bench.snapshot(client, ACROSS)
        await bench.snapshot(client, ACROSS)
        return deletionOf(ACROSS, doomed)
      })
      bench.forget(ACROSS, doomed)
    }
    for (const fault of CRASH_CASES.purge) {
      signal.throwIfAborted()
      await bench.dieAt(fault, async (client) => {
        await bench.verify(client)
        while (bench.idsOf(ACROSS).length < 3) await bench.snapshot(client, ACROSS)
        return PURGE
      })
      // Those that purge had not come to are whole.
      for (const id of bench.idsOf(ACROSS).slice(0, fault.includes(':') ? 2 : 1)) bench.forget(ACROSS, id)
    }
    await bench.onServer((client) => bench.verify(client))
  },
)

crashTest(
  'a server killed while it rolls back a snapshot that failed leaves nothing of it',
  async (bench, { signal }) => {
    bench.extraConfig = REFUSING
    const path = `/api/v1/vms/${REFUSED}/snapshots`
    await bench.onServer(async (client) => {
      await bench.snapshot(client, BESIDE)
      const { statusCode, body } = await client.call('POST', path)
      assert.match(await body.text(), /CLONE_FAILED/)
      assert.equal(statusCode, 500)
    })
    for (const fault of CRASH_CASES.rollback) {
      signal.throwIfAborted()
      await bench.dieAt(fault, async (client) => {
        await bench.verify(client)
        return { method: 'POST', path }
      })
    }
    await bench.onServer((client) => bench.verify(client))
  },
)

crashTest(
  'a server killed at each step of its recovery, one start after the other, recovers at last',
  async (bench, { signal }) => {
    await bench.onServer(async (client) => {
      for (const vm of [ACROSS, ACROSS, ACROSS, BESIDE, BESIDE]) await bench.snapshot(client, vm)
    })
    const [ofAcross, ofBeside] = [bench.idsOf(ACROSS), bench.idsOf(BESIDE)]
    await bench.dieAt('create.mapped', async () => CREATE)
    await dieInRecoveries(bench, CRASH_CASES.recovery, signal)

    // The server of the delete was started before the other was killed, so it does not recover what that left.
    await bench.dieAt('delete.marked', async (client) => {
      await bench.verify(client)
      await bench.dieAt('delete.marked:2', async () => PURGE)
      return deletionOf(BESIDE, ofBeside[0]!)
    })
    for (const id of ofAcross.slice(0, 2)) bench.forget(ACROSS, id)
    bench.forget(BESIDE, ofBeside[0]!)
    await dieInRecoveries(bench, CRASH_CASES.recovery, signal)
    const inOneRepository = CRASH_CASES.recovery.filter((fault) => !fault.includes(':'))
    await dieInRecoveries(bench, inOneRepository, signal)
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
      await bench.dieAt(fault, async (client) => {
        await recovered(client)
        return CREATE
      })
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
      await bench.dieAt(fault, async (client) => {
        await settle(client)
        return { method: 'PUT', path: lease, body: LEASE }
      })
      // One file of a lease is enough to hold it, and until the first has its name there is none.
      last = { fault, held: fault !== 'lease.file-half' && fault !== 'lease.file-written' }
    }
    await bench.onServer(settle)
    for (const fault of CRASH_CASES.release) {
      signal.throwIfAborted()
      await bench.dieAt(fault, async (client) => {
        if (last !== undefined) await assertLeased(bench, client, id, last)
        await client.json('PUT', lease, { body: LEASE })
        bench.leased.set(id, HOLDER)
        await bench.verify(client)
        return { method: 'DELETE', path: lease }
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
      await bench.dieAt(fault, async (client) => {
        await assertLeased(bench, client, id, { fault, held: true })
        return { method: 'PUT', path: `${SNAPSHOTS_OF_ACROSS}/${id}/lease`, body: LEASE }
      })
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

function deletionOf(vm: string, id: string): DeadlyRequest {
  return { method: 'DELETE', path: `/api/v1/vms/${vm}/snapshots/${id}` }
}

/** Each start goes on with what the one before left. */
async function dieInRecoveries(
  bench: CrashBench,
  faults: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const fault of faults) {
    signal.throwIfAborted()
    await bench.dieAtStart(fault)
  }
}
