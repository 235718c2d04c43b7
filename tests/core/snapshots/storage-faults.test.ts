import assert from 'node:assert/strict'
import { mkdir, readdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import btrfs from '../../../backends/btrfs/index.ts'
import xfs from '../../../backends/xfs/index.ts'
import { storageKind } from '../../storage/matrix.ts'
import { command } from '../../support/command.ts'
import { makeCore, makeDisk } from '../../support/core.ts'
import { fillUp } from '../../support/fill-up.ts'
import { mountFilesystem } from '../../support/loop-filesystem.ts'
import { leftBehind, snapshotFolders } from '../../support/snapshot-folders.ts'
import { failsWith, MIB, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'
import { storageTest } from '../../support/storage-test.ts'

storageTest(
  'btrfs',
  'a quota that is used up right after the check refuses the snapshot as full, and nothing is left behind',
  async ({ mount: top, filesystem }) => {
    const mount = join(top, 'repository')
    await command('btrfs', ['quota', 'enable', top])
    await command('btrfs', ['subvolume', 'create', mount])
    const limit = (bytes: string) => command('btrfs', ['qgroup', 'limit', bytes, '0/256', top])
    const disk = await makeDisk(mount, 'disk.img', MIB)
    const real = btrfs()
    const usedUp = {
      manifest: real.manifest,
      async checkCompatibility() {
        await limit('4096')
        return { compatible: true, reasons: [] }
      },
      clone: real.clone.bind(real),
      extentMap: real.extentMap.bind(real),
      diff: real.diff.bind(real),
    }
    const dbFile = join(filesystem.image, '..', 'test.db')
    const vms = [VM, 'vm-2'].map((name) => ({ name, disks: [disk] }))
    const options = { mounts: [mount], requireMountPoint: false, vms, dbFile }
    await using core = await makeCore(options)
    await using full = await makeCore({ ...options, backends: [usedUp] })
    let known: readonly string[] = []
    const refuses = async (vmId: string, message: RegExp) => {
      await assert.rejects(full.snapshots.create(vmId, WHOLE), failsWith('REPOSITORY_FULL', message))
      await limit('none')
      assert.deepEqual(await leftBehind(mount), known)
    }
    await refuses(VM, /can't be given an id: .* quota/)
    known = [(await core.snapshots.create(VM, WHOLE)).id]
    await refuses('vm-2', /its lock .* can't be had: .* quota/)
    await refuses(VM, /the snapshot could not be made: .* quota .* mkdir/)
    assert.deepEqual(await core.store.vmIds(), [VM])
  },
)

snapshotTest(
  'a clone that fails on one of two disks takes back the other one',
  async ({ mount, disk, dbFile }) => {
    const real = xfs()
    const failing = {
      manifest: real.manifest,
      checkCompatibility: real.checkCompatibility.bind(real),
      extentMap: real.extentMap.bind(real),
      diff: real.diff.bind(real),
      async clone(source: string, target: string, signal?: AbortSignal) {
        if (target.endsWith('second.img'))
          throw Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC', errno: -28 })
        await real.clone(source, target, signal)
      },
    }
    const second = await makeDisk(mount, 'second.img', MIB)
    await using core = await makeCore({
      mounts: [mount],
      vms: [{ name: VM, disks: [disk, second] }],
      dbFile,
      backends: [failing],
    })
    await assert.rejects(core.snapshots.create(VM, WHOLE), failsWith('REPOSITORY_FULL', /second\.img/))
    assert.deepEqual(await snapshotFolders(mount), [])
    assert.deepEqual(await core.store.vmIds(), [])
  },
)

snapshotTest(
  'a read-only mount serves what it has, and refuses create and delete',
  async ({ core, filesystem, mount }) => {
    const snapshot = await core.snapshots.create(VM, WHOLE)
    await filesystem.remountReadOnly()
    await assert.rejects(core.snapshots.create(VM, WHOLE), failsWith('REPOSITORY_READ_ONLY', /read-only/))
    await assert.rejects(core.snapshots.delete(VM, snapshot.id), failsWith('REPOSITORY_READ_ONLY', /remount/))
    assert.equal((await core.snapshots.get(VM, snapshot.id, WHOLE)).id, snapshot.id)
    await filesystem.remountWritable()
    await core.snapshots.delete(VM, snapshot.id)
    assert.deepEqual(await snapshotFolders(mount), [])
  },
)

snapshotTest(
  'below an unmounted repository nothing is written and nothing is forgotten',
  async ({ core, filesystem, mount }) => {
    const snapshot = await core.snapshots.create(VM, WHOLE)
    await filesystem.unmount()
    await writeFile(join(mount, 'disk.img'), 'a file that lies where the disk was')
    await assert.rejects(
      core.snapshots.create(VM, WHOLE),
      failsWith('VM_NOT_COMPATIBLE', /nothing is mounted/),
    )
    await assert.rejects(
      core.snapshots.get(VM, snapshot.id, WHOLE),
      failsWith('REPOSITORY_NOT_MOUNTED', /mount it/),
    )
    await assert.rejects(
      core.snapshots.openDisk(VM, snapshot.id, 'disk.img'),
      failsWith('REPOSITORY_NOT_MOUNTED'),
    )
    await assert.rejects(core.snapshots.delete(VM, snapshot.id), failsWith('REPOSITORY_NOT_MOUNTED'))
    assert.deepEqual(await readdir(mount), ['disk.img'])
    await filesystem.mount()
    assert.deepEqual((await core.vms.get(VM)).snapshotIds, [snapshot.id])
    await core.snapshots.delete(VM, snapshot.id)
    assert.deepEqual(await snapshotFolders(mount), [])
  },
)

snapshotTest(
  'a snapshot whose file was cut, replaced or removed is damaged, never wrong',
  async ({ core, disk }) => {
    const { id, disks } = await core.snapshots.create(VM, WHOLE)
    const path = disks[0]!.path
    await truncate(path, MIB)
    await assert.rejects(
      core.snapshots.openDisk(VM, id, 'disk.img'),
      failsWith('SNAPSHOT_DAMAGED', /1048576 bytes/),
    )
    await assert.rejects(core.snapshots.get(VM, id, WHOLE), failsWith('SNAPSHOT_DAMAGED'))
    const next = await core.snapshots.create(VM, WHOLE)
    const [listed, beside] = await core.snapshots.list(VM, WHOLE)
    assert.match(listed?.damage ?? '', /disk\.img has 1048576 bytes where 8388608 were recorded/)
    assert.deepEqual(
      [...listed!.disks[0]!.chunks],
      [{ start: 0, length: 8 * MIB, physicalStart: 0, zero: false }],
    )
    assert.equal(beside?.id, next.id)
    assert.equal(beside?.damage, undefined)
    await assert.rejects(
      core.snapshots.get(VM, next.id, { squash: true, compareTo: id }),
      failsWith('SNAPSHOT_DAMAGED'),
    )
    // Before the clone goes: else it may be given the clone's inode.
    const replacement = await makeDisk(dirname(path), 'replacement.img', 8 * MIB)
    await rm(path)
    await assert.rejects(core.snapshots.get(VM, id, WHOLE), failsWith('SNAPSHOT_DAMAGED', /missing/))
    await rename(replacement, path)
    await assert.rejects(
      core.snapshots.openDisk(VM, id, 'disk.img'),
      failsWith('SNAPSHOT_DAMAGED', /was replaced: it has inode/),
    )
    await rm(path)
    await symlink(disk, path)
    await assert.rejects(core.snapshots.get(VM, id, WHOLE), failsWith('SNAPSHOT_DAMAGED', /behind a link/))
    await rm(path)
    await mkdir(path)
    await assert.rejects(
      core.snapshots.openDisk(VM, id, 'disk.img'),
      failsWith('SNAPSHOT_DAMAGED', /regular/),
    )
    await core.snapshots.delete(VM, id)
  },
)

storageTest(
  'xfs',
  'a full disk of the database refuses the snapshot and takes back its files',
  async ({ mount }) => {
    await using small = await mountFilesystem(storageKind('ext4'), { sizeBytes: 4 * MIB })
    const dbFile = join(small.mountPoint, 'test.db')
    const disk = await makeDisk(mount, 'disk.img', MIB)
    await using core = await makeCore({ mounts: [mount], vms: [{ name: VM, disks: [disk] }], dbFile })
    const kept = await core.snapshots.create(VM, WHOLE)
    await using _full = await fillUp(small.mountPoint)
    await assert.rejects(
      async () => {
        // The database may have a free page or two inside.
        for (let count = 0; count < 50; count++) await core.snapshots.create(VM, WHOLE)
      },
      // As the last free block goes to a record or is missing for the journal.
      failsWith('STORE_FAILED', /full|unable to open database file/),
    )
    const known = (await core.store.read(VM)).snapshots
    assert.ok(known.every(({ state }) => state === 'ready') && known.some(({ id }) => id === kept.id))
    assert.deepEqual(await snapshotFolders(mount), known.map(({ id }) => id).sort())
  },
)

storageTest(
  'xfs-noreflink',
  'a filesystem without reflink is refused with what to do',
  async ({ mount, filesystem }) => {
    const disk = await makeDisk(mount, 'disk.img', MIB)
    const dbFile = join(filesystem.image, '..', 'test.db')
    await using core = await makeCore({ mounts: [mount], vms: [{ name: VM, disks: [disk] }], dbFile })
    await assert.rejects(core.snapshots.create(VM, WHOLE), failsWith('VM_NOT_COMPATIBLE', /reflink=1/))
    const [repository] = await core.repositories.list()
    assert.equal(repository?.compatible, false)
    assert.match(repository?.reasons[0] ?? '', /mkfs\.xfs -m reflink=1/)
    assert.deepEqual(await snapshotFolders(mount), [])
  },
)

storageTest(
  'ext4',
  'a filesystem that no backend knows is refused and not written to',
  async ({ mount, filesystem }) => {
    const disk = await makeDisk(mount, 'disk.img', MIB)
    const dbFile = join(filesystem.image, '..', 'test.db')
    await using core = await makeCore({ mounts: [mount], vms: [{ name: VM, disks: [disk] }], dbFile })
    await assert.rejects(
      core.snapshots.create(VM, WHOLE),
      failsWith('VM_NOT_COMPATIBLE', /knows the filesystem ext4/),
    )
    assert.deepEqual((await readdir(mount)).sort(), ['disk.img', 'lost+found'])
  },
)

snapshotTest(
  'a purge that one repository refuses has removed nothing from another',
  async ({ core, kind, mount, dbFile }) => {
    await using second = await mountFilesystem(kind)
    const moved = await makeDisk(second.mountPoint, 'disk.img', MIB)
    const first = await core.snapshots.create(VM, WHOLE)
    await using after = await makeCore({
      mounts: [mount, second.mountPoint],
      vms: [{ name: VM, disks: [moved] }],
      dbFile,
    })
    const newer = await after.snapshots.create(VM, WHOLE)
    const nothingChanged = async () => {
      assert.deepEqual(await snapshotFolders(mount), [first.id])
      const { snapshots } = await after.store.read(VM)
      assert.deepEqual(
        snapshots.map(({ id, state }) => [id, state]),
        [first, newer].map(({ id }) => [id, 'ready']),
      )
    }
    await second.remountReadOnly()
    await assert.rejects(after.snapshots.purge(VM), failsWith('REPOSITORY_READ_ONLY'))
    await nothingChanged()
    await second.unmount()
    await assert.rejects(after.snapshots.purge(VM, { force: true }), failsWith('REPOSITORY_NOT_MOUNTED'))
    await nothingChanged()
    await second.mount()
    await after.snapshots.purge(VM)
    assert.deepEqual([await snapshotFolders(mount), await snapshotFolders(second.mountPoint)], [[], []])
  },
)
