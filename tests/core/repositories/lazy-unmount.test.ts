/** `umount --lazy` takes a repository away from under whoever is at work: what is done next goes to it, or nowhere. */

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import xfs from '../../../backends/xfs/index.ts'
import { BackendRegistry } from '../../../core/backends/backend-registry.ts'
import { CompatibilityCache } from '../../../core/repositories/compatibility-cache.ts'
import { MountGuard } from '../../../core/repositories/mount-guard.ts'
import { holdIntact } from '../../../core/snapshots/hold-intact.ts'
import {
  makeSnapshotFolder,
  removeSnapshotFolder,
  retireSnapshotFolder,
} from '../../../core/snapshots/snapshot-folder.ts'
import { disksOf } from '../../../core/snapshots/snapshot-record.ts'
import { holdBeneath, readMounts } from '../../../native/index.ts'
import { command } from '../../support/command.ts'
import { snapshotFolders } from '../../support/snapshot-folders.ts'
import { failsWith, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'
import { makeWatches } from '../../support/watches.ts'

const NEW_ID = '00000000-0000-4000-8000-000000000001'
const REFUSED = failsWith('REPOSITORY_NOT_MOUNTED', /mounted/)

function cacheOver(guard: MountGuard): CompatibilityCache {
  const registry = new BackendRegistry()
  registry.register(xfs(), 'test')
  return new CompatibilityCache(registry, guard, holdBeneath, makeWatches())
}

/** Believes the table of mounts as it was, whatever was unmounted since. */
async function guardOfBefore(): Promise<MountGuard> {
  const mounts = await readMounts()
  return new MountGuard({ list: async () => mounts }, true)
}

/** The mount goes right after it was read for the first time. */
function guardTooEarly(mount: string): MountGuard {
  let unmounted = false
  const list = async () => {
    const mounts = await readMounts()
    if (!unmounted) await command('umount', ['--lazy', mount])
    unmounted = true
    return mounts
  }
  return new MountGuard({ list }, true)
}

snapshotTest(
  'a repository that was unmounted lazily before it is opened is refused, and nothing is written below',
  async ({ core, mount, filesystem }) => {
    const { id } = await core.snapshots.create(VM, WHOLE)
    const [disk] = disksOf(VM, (await core.store.read(VM)).snapshots[0]!)
    const guard = await guardOfBefore()
    const before = (await guard.mountOf(mount))!
    await command('umount', ['--lazy', mount])
    const stamp = disk!.repositoryStamp
    await assert.rejects(cacheOver(guard).choose(mount, before, true), REFUSED)
    await assert.rejects(makeSnapshotFolder(mount, NEW_ID, before, guard, holdBeneath), REFUSED)
    await assert.rejects(holdIntact(disk!, guard, holdBeneath), REFUSED)
    await assert.rejects(retireSnapshotFolder(mount, id, stamp, guard, holdBeneath), REFUSED)
    await assert.rejects(removeSnapshotFolder(mount, id, stamp, guard, holdBeneath), REFUSED)
    await assert.rejects(
      core.repositoryLocks.hold([mount], VM, async () => undefined, AbortSignal.timeout(5000)),
      REFUSED,
    )
    assert.deepEqual(await readdir(mount), [])
    await filesystem.mount()
    assert.deepEqual(await snapshotFolders(mount), [id])
  },
)

snapshotTest(
  'a check whose repository is unmounted lazily meanwhile writes nothing below, and leaves nothing in it',
  async ({ mount, filesystem }) => {
    const before = (await (await guardOfBefore()).mountOf(mount))!
    const choice = await cacheOver(guardTooEarly(mount)).choose(mount, before, true)
    assert.deepEqual(choice.reasons, [])
    assert.deepEqual(await readdir(mount), [])
    await filesystem.mount()
    assert.deepEqual(await snapshotFolders(mount), [])
  },
)

snapshotTest(
  'the files of a snapshot whose repository is unmounted lazily meanwhile are removed from it all the same',
  async ({ core, mount, filesystem }) => {
    const { id } = await core.snapshots.create(VM, WHOLE)
    await removeSnapshotFolder(mount, id, undefined, guardTooEarly(mount), holdBeneath)
    await filesystem.mount()
    assert.deepEqual(await snapshotFolders(mount), [])
  },
)

snapshotTest(
  'a file whose repository is unmounted lazily meanwhile is not called missing',
  async ({ core, mount, filesystem }) => {
    await core.snapshots.create(VM, WHOLE)
    const [disk] = disksOf(VM, (await core.store.read(VM)).snapshots[0]!)
    {
      await using file = await holdIntact(disk!, guardTooEarly(mount), holdBeneath)
      assert.equal(file.stats.size, disk!.size)
    }
    await filesystem.mount()
  },
)
