/** The server is killed at each step of what it does; a snapshot is whole or gone after the next start. */

import assert from 'node:assert/strict'
import type { FaultPoint } from '../../core/fault-points.ts'
import { ACROSS, BESIDE, REFUSED } from '../support/crash-bench.ts'
import { crashTest } from '../support/crash-test.ts'
import { CRASH_CASES } from './crash-cases.ts'

const SNAPSHOTS_OF_ACROSS = `/api/v1/vms/${ACROSS}/snapshots`

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
      // The first snapshot is gone in each of the cases; those that purge had not come to are whole.
      bench.forget(ACROSS, bench.idsOf(ACROSS)[0]!)
      await bench.onServer((client) => bench.verify(client))
    }
  },
)

crashTest(
  'a server killed while it rolls back a snapshot that failed leaves nothing of it',
  async (bench, { signal }) => {
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

function survives(fault: string): boolean {
  return fault === ('create.ready' satisfies FaultPoint)
}

/** The n-th time of one start is the first of the next: what was done before the kill is not done again. */
function again(fault: string): string {
  return fault.split(':')[0]!
}
