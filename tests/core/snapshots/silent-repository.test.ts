import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import xfs from '../../../backends/xfs/index.ts'
import { systemClock } from '../../../core/leases/lease-clock.ts'
import { MountWatches } from '../../../core/mounts/mount-watches.ts'
import { MountGuard } from '../../../core/repositories/mount-guard.ts'
import { IndexRebuilder } from '../../../core/snapshots/index-rebuilder.ts'
import { Orphans } from '../../../core/snapshots/orphans.ts'
import { PlainAdoption } from '../../../core/snapshots/plain-adoption.ts'
import { SnapshotStore } from '../../../core/snapshots/snapshot-store.ts'
import { INDEX_NAMESPACE, openDatabase, VMS_NAMESPACE } from '../../../core/store/database.ts'
import { StaticInventory } from '../../../inventory/static/static-inventory.ts'
import { holdBeneath, readMounts } from '../../../native/index.ts'
import { makeCore } from '../../support/core.ts'
import { deferred } from '../../support/deferred.ts'
import { hookProgram } from '../../support/hook-program.ts'
import { SILENT } from '../../support/silent-log.ts'
import { snapshotFolders } from '../../support/snapshot-folders.ts'
import { type Bench, failsWith, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'
import { silentServer } from '../mounts/silent-server.ts'

const REFUSED = failsWith('REPOSITORY_NOT_RESPONDING')

/** Everything of a repository that answers for as long as the server does. */
async function silentBench({ mount, disk, dbFile, filesystem }: Bench, pausedByClone: boolean) {
  const server = await silentServer()
  const recovered = deferred()
  const watches = new MountWatches(
    { list: readMounts },
    { patienceMs: 300, ask: server.call, log: SILENT, onRecovered: () => recovered.resolve() },
  )
  const folder = join(filesystem.image, '..')
  const before = await hookProgram(folder, 'before', '')
  const after = await hookProgram(folder, 'after', '')
  const real = xfs()
  const backend = {
    manifest: real.manifest,
    checkCompatibility: real.checkCompatibility.bind(real),
    extentMap: real.extentMap.bind(real),
    diff: real.diff.bind(real),
    async clone(source: string, target: string, signal?: AbortSignal) {
      if (pausedByClone) {
        await server.pause()
        await server.call()
      }
      await real.clone(source, target, signal)
    },
  }
  const core = await makeCore({
    mounts: [mount],
    vms: [{ name: VM, disks: [disk] }],
    dbFile,
    backends: [backend],
    watches,
    quiesce: { before: [before.path], after: [after.path] },
  })
  return {
    server,
    watches,
    recovered: recovered.promise,
    after,
    core,
    /** An operation that hangs makes it known. */
    async fallSilent() {
      await assert.rejects(
        watches.run([mount], async () => {
          await server.pause()
          await server.call()
        }),
        REFUSED,
      )
    },
    async [Symbol.asyncDispose]() {
      await core[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

snapshotTest(
  'a guest at rest is woken when its repository falls silent, and what was made is cleared away when it answers',
  async (bench) => {
    await using silent = await silentBench(bench, true)
    const { core, after, server, recovered } = silent
    await assert.rejects(core.snapshots.create(VM, WHOLE), REFUSED)
    await after.called(1)
    await core.journal.recoverAll()
    const { snapshots } = await core.store.read(VM)
    assert.deepEqual(
      snapshots.map(({ state }) => state),
      ['creating'],
    )
    await server.resume()
    await recovered
    await core.journal.recoverAll()
    assert.deepEqual((await core.store.read(VM)).snapshots, [])
    assert.deepEqual(await snapshotFolders(bench.mount), [])
    assert.equal((await after.calls()).length, 1)
  },
)

/** On a busy machine the first answer may come later than the patience of this bench; the service asks again, too. */
async function caughtUp(index: IndexRebuilder): Promise<string> {
  for (;;) {
    const state = await index.catchUp()
    if (state !== 'pending') return state
    await delay(50)
  }
}

snapshotTest(
  'leases, deletions, audits, orphans and the rebuild of the index do not wait for a silent repository',
  async (bench) => {
    await using silent = await silentBench(bench, false)
    const { core, watches, server } = silent
    const base = await core.snapshots.create(VM, WHOLE)
    const target = await core.snapshots.create(VM, WHOLE)
    const database = await openDatabase(`${bench.dbFile}.new`, () => undefined)
    const store = new SnapshotStore(database.keyv(VMS_NAMESPACE))
    const guard = new MountGuard({ list: readMounts }, true)
    const repositories = [{ id: 'repository-0', mountPoint: bench.mount }]
    const inventory = new StaticInventory({ repositories, vms: [] })
    const { locks, changes, files } = core
    const plain = new PlainAdoption(core.repositories, store, watches, holdBeneath)
    const orphans = new Orphans({
      inventory,
      guard,
      watches,
      hold: holdBeneath,
      store,
      locks,
      changes,
      files,
      plain,
      clock: systemClock,
    })
    const marks = database.keyv<string>(INDEX_NAMESPACE)
    const index = new IndexRebuilder({
      inventory,
      guard,
      watches,
      hold: holdBeneath,
      store,
      locks,
      changes,
      marks,
      log: SILENT,
    })

    await silent.fallSilent()
    const lease = { holder: 'a client', ttlMs: 60_000 }
    await assert.rejects(core.leases.take(VM, base.id, lease), REFUSED)
    await assert.rejects(core.leases.get(VM, base.id), REFUSED)
    await assert.rejects(core.snapshots.delete(VM, base.id), REFUSED)
    await core.audits.start(VM, target.id, { compareTo: base.id })
    await core.audits.ended(VM, target.id)
    const audit = await core.audits.get(VM, target.id)
    assert.equal(audit.state, 'failed')
    assert.match(audit.reason!, /does not answer/)
    await assert.rejects(orphans.list(), REFUSED)
    assert.equal(await index.catchUp(), 'pending')
    assert.ok(watches.holdThreads)

    await server.resume()
    await silent.recovered
    assert.equal(await caughtUp(index), 'done')
    assert.deepEqual(await orphans.list(), [])
    assert.equal((await core.leases.take(VM, base.id, lease)).holder, lease.holder)
    await database.close()
  },
)
