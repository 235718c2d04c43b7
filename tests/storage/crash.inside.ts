/** The server is killed where OCFS2 and SMB clone otherwise than XFS, and on OCFS2 at a few of the other steps. */

import assert from 'node:assert/strict'
import { ACROSS, CrashBench, type DeadlyRequest } from '../support/crash-bench.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { machineTest } from '../vm/inside/machine-test.ts'
import { mountKind } from '../vm/inside/mount-kind.ts'
import { CRASH_CASES } from './crash-cases.ts'
import { eventually } from './silent-lab.ts'

const SNAPSHOTS_OF_ACROSS = `/api/v1/vms/${ACROSS}/snapshots`
const CREATE: DeadlyRequest = { method: 'POST', path: SNAPSHOTS_OF_ACROSS }
/** The SMB client keeps a file open for a moment after its user has ended. */
const CLEARED_MS = 60_000

machineTest(
  'ocfs2',
  'a server killed in a clone, a removal or a recovery leaves each snapshot whole or gone',
  async ({ mount, signal }) => {
    await using second = await mountKind('ocfs2')
    await using directory = await temporaryDirectory('crash')
    const bench = await CrashBench.open(directory.path, [mount, second.mountPoint])
    for (const fault of CRASH_CASES.createOnOcfs2) {
      signal.throwIfAborted()
      await dieOfCreate(bench, fault)
    }
    for (const fault of CRASH_CASES.removeOnOcfs2) {
      let doomed = ''
      await bench.dieAt(fault, async (client) => {
        await bench.verify(client)
        doomed = await bench.snapshot(client, ACROSS)
        return { method: 'DELETE', path: `${SNAPSHOTS_OF_ACROSS}/${doomed}` }
      })
      bench.forget(ACROSS, doomed)
    }
    for (const fault of CRASH_CASES.recoveryOnOcfs2) await bench.dieAtStart(fault)
    await bench.onServer((client) => bench.verify(client))
  },
)

machineTest(
  'cifs',
  'a server killed when a clone has got its name leaves nothing of the snapshot',
  async ({ mount }) => {
    await using second = await mountKind('xfs')
    await using directory = await temporaryDirectory('crash')
    const bench = await CrashBench.open(directory.path, [mount, second.mountPoint])
    for (const fault of CRASH_CASES.createOverSmb) await dieOfCreate(bench, fault)
    await bench.onServer((client) => eventually(() => bench.verify(client), CLEARED_MS))
  },
)

/** There is a snapshot before; the next one dies with a clone under its own name. */
async function dieOfCreate(bench: CrashBench, fault: string): Promise<void> {
  await bench.dieAt(fault, async (client) => {
    if (bench.idsOf(ACROSS).length === 0) await bench.snapshot(client, ACROSS)
    await bench.verify(client)
    return CREATE
  })
  const known = bench.idsOf(ACROSS)
  const clones = (await bench.files()).filter((path) => /\/[0-9a-f-]{36}\/[^/.]+\.img$/.test(path))
  assert.ok(
    clones.some((path) => !known.some((id) => path.includes(id))),
    `${fault} is that of a disk: ${clones}`,
  )
}
