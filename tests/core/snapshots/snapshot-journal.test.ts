import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SnapshotRecord } from '../../../core/snapshots/snapshot-record.ts'
import { makeCore } from '../../support/core.ts'
import { snapshotFolders } from '../../support/snapshot-folders.ts'
import { failsWith, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'

snapshotTest('an aborted create() leaves nothing', async ({ core, mount }) => {
  await assert.rejects(core.snapshots.create(VM, WHOLE, AbortSignal.abort()))
  await core.snapshots.purge(VM)
  assert.deepEqual(await core.store.vmIds(), [])
  assert.ok(
    !(await readdir(mount)).includes('CoriolisSnapshots') || (await snapshotFolders(mount)).length === 0,
  )
})

snapshotTest('created_at goes on when the clock jumps back', async ({ core, t }) => {
  const first = await core.snapshots.create(VM, WHOLE)
  t.mock.timers.enable({ apis: ['Date'], now: Date.parse(first.createdAt) - 3_600_000 })
  const second = await core.snapshots.create(VM, WHOLE)
  t.mock.timers.reset()
  assert.ok(Date.parse(second.createdAt) > Date.parse(first.createdAt))
  await core.snapshots.get(VM, second.id, { squash: true, compareTo: first.id })
})

for (const state of ['creating', 'deleting'] as const) {
  snapshotTest(
    `a start clears away a snapshot that was left ${state}, and only that`,
    async ({ core, mount, dbFile, disk }) => {
      const whole = await core.snapshots.create(VM, WHOLE)
      const left = await core.snapshots.create(VM, WHOLE)
      const record = await core.store.read(VM)
      const leave = (snapshot: SnapshotRecord) =>
        snapshot.id === left.id ? { ...snapshot, state } : snapshot
      await core.store.write({ ...record, snapshots: record.snapshots.map(leave) })
      await writeFile(join(mount, 'CoriolisSnapshots', left.id, '.clone-0123'), 'half a clone')
      assert.deepEqual((await core.vms.get(VM)).snapshotIds, [whole.id])
      await using next = await makeCore({ mounts: [mount], vms: [{ name: VM, disks: [disk] }], dbFile })
      await next.journal.recoverAll()
      assert.deepEqual(await snapshotFolders(mount), [whole.id])
      assert.deepEqual(
        (await next.store.read(VM)).snapshots.map(({ id }) => id),
        [whole.id],
      )
    },
  )
}

snapshotTest(
  'recovery leaves alone what another server is in the middle of',
  async ({ core, mount, dbFile, disk }) => {
    const left = await core.snapshots.create(VM, WHOLE)
    const record = await core.store.read(VM)
    await core.store.write({ ...record, snapshots: [{ ...record.snapshots[0]!, state: 'creating' }] })
    await using other = await makeCore({ mounts: [mount], vms: [{ name: VM, disks: [disk] }], dbFile })
    await core.locks.hold(VM, () => other.journal.recoverAll())
    assert.deepEqual(await snapshotFolders(mount), [left.id])
  },
)

snapshotTest('a VM whose lock is not given up is busy', async ({ core, mount, dbFile, disk }) => {
  const vms = [{ name: VM, disks: [disk] }]
  await using other = await makeCore({ mounts: [mount], vms, dbFile, lockPatienceMs: 100 })
  await core.locks.hold(VM, () =>
    assert.rejects(other.snapshots.create(VM, WHOLE), failsWith('VM_BUSY', /vm-1/)),
  )
})

snapshotTest(
  'two servers on one database lose and double no snapshot',
  async ({ core, mount, dbFile, disk }) => {
    await using other = await makeCore({ mounts: [mount], vms: [{ name: VM, disks: [disk] }], dbFile })
    const made = await Promise.all(
      Array.from({ length: 12 }, (_, index) => (index % 2 ? core : other).snapshots.create(VM, WHOLE)),
    )
    await Promise.all(
      made.slice(0, 6).map(({ id }, index) => (index % 2 ? core : other).snapshots.delete(VM, id)),
    )
    const left = made.slice(6).map(({ id }) => id)
    assert.deepEqual([...(await core.vms.get(VM)).snapshotIds].sort(), [...left].sort())
    assert.deepEqual(await snapshotFolders(mount), [...left].sort())
  },
)
