/** A repository that goes while a snapshot is being made: after everything was checked and before the first clone. */

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { storageKind } from '../../storage/matrix.ts'
import { command } from '../../support/command.ts'
import { makeCore, makeDisk } from '../../support/core.ts'
import { hookHold } from '../../support/hook-hold.ts'
import { mountFilesystem } from '../../support/loop-filesystem.ts'
import { snapshotFolders } from '../../support/snapshot-folders.ts'
import { failsWith, MIB, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

snapshotTest(
  'a repository that is unmounted lazily while the hook runs refuses the snapshot, and nothing is left of it anywhere',
  async ({ mount, filesystem, disk, dbFile }) => {
    await using folder = await temporaryDirectory('hooks')
    await using second = await mountFilesystem(storageKind('xfs'))
    const other = await makeDisk(second.mountPoint, 'other.img', MIB)
    const hook = await hookHold(folder.path)
    await using core = await makeCore({
      mounts: [mount, second.mountPoint],
      vms: [{ name: VM, disks: [disk, other] }],
      dbFile,
      quiesce: { before: hook.command },
    })
    const kept = await core.snapshots.create(VM, WHOLE)
    const before = await core.store.read(VM)
    {
      await using held = await hook.next()
      const made = core.snapshots.create(VM, WHOLE)
      made.catch(() => undefined)
      await held.reached()
      await command('umount', ['--lazy', mount])
      // A file of the same name below is not the guest's disk.
      await makeDisk(mount, 'disk.img', 8 * MIB)
      await held.release()
      await assert.rejects(
        made,
        failsWith('REPOSITORY_NOT_MOUNTED', /nothing is mounted on the repository .*: mount it/),
      )
    }
    assert.deepEqual(await readdir(mount), ['disk.img'])
    assert.deepEqual(await core.store.read(VM), before)
    assert.deepEqual(await snapshotFolders(second.mountPoint), [kept.id])
    await filesystem.mount()
    assert.deepEqual(await snapshotFolders(mount), [kept.id])
    const next = await core.snapshots.create(VM, WHOLE)
    assert.ok((await readFile(next.disks[0]!.path)).equals(await readFile(disk)))
  },
)
