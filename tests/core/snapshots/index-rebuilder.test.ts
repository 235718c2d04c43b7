import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Log } from '../../../core/log.ts'
import { MountGuard } from '../../../core/repositories/mount-guard.ts'
import { IndexRebuilder } from '../../../core/snapshots/index-rebuilder.ts'
import { VmLocks } from '../../../core/snapshots/vm-locks.ts'
import { INDEX_NAMESPACE, openDatabase } from '../../../core/store/database.ts'
import { StaticInventory } from '../../../inventory/static/static-inventory.ts'
import { acquireFlock, holdBeneath, readMounts } from '../../../native/index.ts'
import { makeCore, type TestCore } from '../../support/core.ts'
import { deferred } from '../../support/deferred.ts'
import { openedHere } from '../../support/lock-users.ts'
import { snapshotFolders } from '../../support/snapshot-folders.ts'
import { type Bench, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'
import { makeWatches } from '../../support/watches.ts'

const OTHER_ID = '1f6c5d5e-2f3b-4a57-9f3e-6a1d2c3b4a59'

snapshotTest('a database that had records before it was first looked at is not filled', async (bench) => {
  const { core } = bench
  const first = await core.snapshots.create(VM, WHOLE)
  await core.snapshots.create(VM, WHOLE)
  const record = await core.store.read(VM)
  await core.store.write({ ...record, snapshots: record.snapshots.slice(0, 1) })
  await using filling = await rebuilder(bench)
  assert.equal(await filling.index.catchUp(), 'never')
  assert.deepEqual((await core.vms.get(VM)).snapshotIds, [first.id])
})

snapshotTest(
  'a new database is filled once, oldest first, and deleted snapshots stay deleted',
  async (bench) => {
    const { core, mount } = bench
    const ids: string[] = []
    for (let count = 0; count < 4; count += 1) ids.push((await core.snapshots.create(VM, WHOLE)).id)
    const before = await core.store.read(VM)
    await core.store.write({ ...before, snapshots: [] })
    await using filling = await rebuilder(bench)
    assert.equal(await filling.index.catchUp(), 'done')
    assert.deepEqual(await core.store.read(VM), before)
    await core.snapshots.delete(VM, ids[1]!)
    assert.equal(await filling.index.catchUp(), 'done')
    assert.deepEqual(
      (await core.vms.get(VM)).snapshotIds,
      ids.filter((id) => id !== ids[1]),
    )
    assert.deepEqual(await snapshotFolders(mount), ids.filter((id) => id !== ids[1]).sort())
  },
)

snapshotTest('links in the place of snapshots lead nowhere', async (bench) => {
  const { core, mount } = bench
  const { id } = await core.snapshots.create(VM, WHOLE)
  const folder = join(mount, 'CoriolisSnapshots')
  const outside = await mkdtemp(join(tmpdir(), 'diskferry-outside-'))
  try {
    // Elsewhere it would be a sound snapshot.
    const text = (await readFile(join(folder, id, 'snapshot.json'), 'utf8')).replaceAll(id, OTHER_ID)
    await mkdir(join(outside, OTHER_ID))
    await writeFile(join(outside, OTHER_ID, 'snapshot.json'), text)
    await symlink(join(outside, OTHER_ID), join(folder, OTHER_ID))
    await core.store.write({ version: 1, vmId: VM, snapshots: [] })
    await using filling = await rebuilder(bench)
    assert.equal(await filling.index.catchUp(), 'done')
    assert.deepEqual((await core.vms.get(VM)).snapshotIds, [id])

    await core.store.write({ version: 1, vmId: VM, snapshots: [] })
    await rename(folder, join(mount, 'moved'))
    await symlink(join(mount, 'moved'), folder)
    await filling.forget()
    assert.equal(await filling.index.catchUp(), 'done')
    assert.deepEqual((await core.vms.get(VM)).snapshotIds, [])
  } finally {
    await rm(outside, { recursive: true })
  }
})

snapshotTest('a repository that can not be read is tried again, and said once', async (bench) => {
  const { core, mount, filesystem } = bench
  const { id } = await core.snapshots.create(VM, WHOLE)
  await core.store.write({ version: 1, vmId: VM, snapshots: [] })
  await using filling = await rebuilder(bench, { failing: true })
  for (const _ of [1, 2, 3]) assert.equal(await filling.index.catchUp(), 'pending')
  assert.equal(filling.warnings.length, 1)
  assert.match(filling.warnings[0]!, /tried again: the inventory is away/)
  filling.mend()
  await filesystem.unmount()
  assert.equal(await filling.index.catchUp(), 'pending')
  await filesystem.mount()
  assert.equal(await filling.index.catchUp(), 'done')
  assert.deepEqual((await core.vms.get(VM)).snapshotIds, [id])
  assert.deepEqual(await snapshotFolders(mount), [id])
})

for (const atIt of [false, true]) {
  const when = atIt ? 'is being deleted' : 'was deleted'
  snapshotTest(`a snapshot that ${when} by another host since it was seen is not recorded`, async (bench) => {
    const { core, mount, dbFile, disk } = bench
    await using other = await makeCore({
      mounts: [mount],
      vms: [{ name: VM, disks: [disk] }],
      dbFile: `${dbFile}-of-another-host`,
    })
    const doomed = await other.snapshots.create(VM, WHOLE)
    let deleting: Promise<unknown> = Promise.resolve()
    class Late extends VmLocks {
      override async hold<Result>(vmId: string, work: () => Promise<Result>): Promise<Result> {
        if (atIt) ({ deleting } = await slowly(other, mount, doomed.id))
        else await other.snapshots.delete(VM, doomed.id)
        return super.hold(vmId, work)
      }
    }
    const locks = new Late({ acquire: acquireFlock }, `${dbFile}.locks`, 30_000)
    await using filling = await rebuilder(bench, { locks })
    assert.equal(await filling.index.catchUp(), 'done')
    await deleting
    assert.deepEqual((await core.vms.get(VM)).snapshotIds, [])
    assert.deepEqual(await snapshotFolders(mount), [])
  })
}

/** Deletes a snapshot as its host does, and gets to its files when somebody else waits for the lock. */
async function slowly({ changes, files }: TestCore, mount: string, id: string) {
  const held = deferred()
  const deleting = changes.run([mount], VM, async () => {
    held.resolve()
    await openedHere(join(mount, 'CoriolisSnapshots/.locks', VM), 2)
    await files.removeFolders(id, [mount], 'another host')
  })
  await held.promise
  return { deleting }
}

async function rebuilder(
  { core, mount, dbFile }: Bench,
  { failing = false, locks = core.locks }: { readonly failing?: boolean; readonly locks?: VmLocks } = {},
) {
  const database = await openDatabase(dbFile, () => undefined)
  const marks = database.keyv<string>(INDEX_NAMESPACE)
  const warnings: string[] = []
  const log: Log = {
    info: () => undefined,
    warn: (_fields, message) => warnings.push(message),
    error: (_fields, message) => warnings.push(message),
  }
  const real = new StaticInventory({ repositories: [{ id: 'repository-0', mountPoint: mount }], vms: [] })
  let away = failing
  const index = new IndexRebuilder({
    inventory: {
      name: 'test',
      async read() {
        if (away) throw new Error('the inventory is away')
        return real.read()
      },
    },
    guard: new MountGuard({ list: readMounts }, true),
    watches: makeWatches(),
    hold: holdBeneath,
    store: core.store,
    locks,
    changes: core.changes,
    marks,
    log,
  })
  return {
    index,
    warnings,
    mend() {
      away = false
    },
    /** As a new database would. */
    forget: () => marks.clear(),
    [Symbol.asyncDispose]: () => database.close(),
  }
}
