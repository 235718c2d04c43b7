import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rm, symlink, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { storageKind } from '../../storage/matrix.ts'
import { makeCore, makeDisk, writeAt } from '../../support/core.ts'
import { mountFilesystem } from '../../support/loop-filesystem.ts'
import { snapshotFolders } from '../../support/snapshot-folders.ts'
import { failsWith, MIB, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'

snapshotTest(
  'create() clones the disk, writes snapshot.json and answers the chunks',
  async ({ core, mount, disk }) => {
    const snapshot = await core.snapshots.create(VM, WHOLE)
    const [made] = snapshot.disks
    assert.equal(made?.path, join(mount, 'CoriolisSnapshots', snapshot.id, 'disk.img'))
    assert.equal(made?.parentPath, disk)
    assert.deepEqual(
      [...made!.chunks].map(({ start, length, zero }) => [start, length, zero]),
      [[MIB, MIB, false]],
    )
    assert.ok((await readFile(made!.path)).equals(await readFile(disk)))
    const manifest = JSON.parse(await readFile(join(made!.path, '..', 'snapshot.json'), 'utf8'))
    assert.equal(manifest.vmId, VM)
    assert.equal(manifest.createdAt, snapshot.createdAt)
    assert.deepEqual(manifest.disks[0].parentPath, disk)
    assert.deepEqual((await core.vms.get(VM)).snapshotIds, [snapshot.id])
  },
)

snapshotTest('compareTo tells data and zeros, and refuses what is not older', async ({ core, disk }) => {
  const first = await core.snapshots.create(VM, WHOLE)
  await writeAt(disk, 4 * MIB, Buffer.alloc(4096, 2))
  execFileSync('fallocate', ['-p', '-o', String(MIB), '-l', '65536', disk])
  await truncate(disk, 9 * MIB + 5)
  const second = await core.snapshots.create(VM, WHOLE)
  const difference = await core.snapshots.get(VM, second.id, { squash: true, compareTo: first.id })
  assert.deepEqual(
    [...difference.disks[0]!.chunks].map(({ start, length, zero }) => [start, length, zero]),
    [
      [MIB, 65_536, true],
      [4 * MIB, 4096, false],
    ],
  )
  assert.deepEqual(difference.disks[0]!.diff, {
    method: 'physical',
    fallbackReason: null,
    changedBytes: 4096,
    zeroBytes: 65_536,
  })
  const compare = (id: string, compareTo: string) => core.snapshots.get(VM, id, { squash: true, compareTo })
  await assert.rejects(compare(first.id, second.id), failsWith('COMPARE_NOT_OLDER', /must be older/))
  await assert.rejects(compare(first.id, first.id), failsWith('COMPARE_NOT_OLDER'))
  await assert.rejects(compare(first.id, randomUUID()), failsWith('SNAPSHOT_NOT_FOUND'))
  await assert.rejects(core.snapshots.get(VM, '../../etc', WHOLE), failsWith('SNAPSHOT_NOT_FOUND'))
  await assert.rejects(core.snapshots.get('other', first.id, WHOLE), failsWith('SNAPSHOT_NOT_FOUND'))
})

snapshotTest('refine keeps of the changed ranges what really differs', async ({ core, disk }) => {
  const first = await core.snapshots.create(VM, WHOLE)
  await writeAt(disk, MIB, Buffer.alloc(MIB / 2, 1))
  await writeAt(disk, MIB + 8192, Buffer.alloc(100, 7))
  const second = await core.snapshots.create(VM, WHOLE)
  const changedBytes = async (refine: boolean) =>
    (await core.snapshots.get(VM, second.id, { squash: true, compareTo: first.id, refine })).disks[0]!.diff!
      .changedBytes
  assert.equal(await changedBytes(false), MIB / 2)
  assert.equal(await changedBytes(true), 4096)
})

snapshotTest(
  'delete() removes files and record, and does nothing for what is gone',
  async ({ core, mount }) => {
    const [first, second] = [await core.snapshots.create(VM, WHOLE), await core.snapshots.create(VM, WHOLE)]
    await core.snapshots.delete(VM, first.id)
    await core.snapshots.delete(VM, first.id)
    await core.snapshots.delete(VM, 'never-was')
    await core.snapshots.delete('nobody', second.id)
    assert.deepEqual((await core.vms.get(VM)).snapshotIds, [second.id])
    await rm(join(mount, 'CoriolisSnapshots', second.id), { recursive: true })
    await core.snapshots.delete(VM, second.id)
    assert.deepEqual(await snapshotFolders(mount), [])
    assert.deepEqual(await core.store.vmIds(), [])
  },
)

snapshotTest('purge() removes all of one VM and refuses an unknown one', async ({ core, mount }) => {
  for (let count = 0; count < 3; count++) await core.snapshots.create(VM, WHOLE)
  await core.snapshots.purge(VM)
  assert.deepEqual(await snapshotFolders(mount), [])
  await core.snapshots.purge(VM)
  await assert.rejects(core.snapshots.purge('nobody'), failsWith('VM_NOT_FOUND', /nobody/))
})

snapshotTest(
  'a VM that left the inventory keeps its snapshots until they are deleted',
  async ({ core, mount, dbFile }) => {
    const snapshot = await core.snapshots.create(VM, WHOLE)
    await using later = await makeCore({ mounts: [mount], vms: [], dbFile })
    assert.deepEqual(
      (await later.snapshots.list(VM, WHOLE)).map(({ id }) => id),
      [snapshot.id],
    )
    await assert.rejects(later.snapshots.create(VM, WHOLE), failsWith('VM_NOT_FOUND'))
    await later.snapshots.purge(VM)
    assert.deepEqual(await snapshotFolders(mount), [])
  },
)

snapshotTest(
  'openDisk() gives the bytes and refuses a disk that the snapshot lacks',
  async ({ core, disk }) => {
    const { id } = await core.snapshots.create(VM, WHOLE)
    await writeAt(disk, MIB, Buffer.alloc(10, 9))
    await using opened = await core.snapshots.openDisk(VM, id, 'disk.img')
    const buffer = Buffer.alloc(10)
    assert.equal(await opened.read(buffer, MIB), 10)
    assert.ok(buffer.equals(Buffer.alloc(10, 1)))
    assert.equal(opened.size, 8 * MIB)
    await assert.rejects(
      core.snapshots.openDisk(VM, id, 'snapshot.json'),
      failsWith('DISK_NOT_FOUND', /disk\.img/),
    )
    await assert.rejects(core.snapshots.openDisk(VM, id, '../disk.img'), failsWith('DISK_NOT_FOUND'))
  },
)

snapshotTest(
  'a VM with disks that can not be cloned is refused, each disk with its reason',
  async ({ mount, dbFile, disk, filesystem }) => {
    const outside = await makeDisk(join(filesystem.image, '..'), 'outside.img', MIB)
    await symlink(outside, join(mount, 'link.img'))
    await mkdir(join(mount, 'folder.img'))
    const disks = [
      disk,
      'phy:/dev/mapper/3600',
      outside,
      join(mount, 'link.img'),
      join(mount, 'missing.img'),
      join(mount, 'folder.img'),
    ]
    await using core = await makeCore({ mounts: [mount], vms: [{ name: VM, disks }], dbFile })
    await assert.rejects(
      core.snapshots.create(VM, WHOLE),
      failsWith(
        'VM_NOT_COMPATIBLE',
        /3600.*phy: disk.*outside\.img.*outside every.*link\.img.*outside every.*missing\.img.*missing.*folder\.img.*regular/,
      ),
    )
    const view = await core.vms.get(VM)
    assert.equal(view.compatible, false)
    assert.deepEqual(
      view.disks.map(({ compatible }) => compatible),
      [true, false, false, false, false, false],
    )
  },
)

snapshotTest(
  'two disks whose files are called the same get names of their own',
  async ({ mount, dbFile, disk }) => {
    await mkdir(join(mount, 'other'))
    const twin = await makeDisk(join(mount, 'other'), 'disk.img', MIB)
    await using core = await makeCore({ mounts: [mount], vms: [{ name: VM, disks: [disk, twin] }], dbFile })
    const { disks } = await core.snapshots.create(VM, WHOLE)
    assert.deepEqual(
      disks.map(({ name, size }) => [name, size]),
      [
        ['disk.img', 8 * MIB],
        ['xvdb-disk.img', MIB],
      ],
    )
  },
)

snapshotTest('a disk that the older snapshot lacks comes whole', async ({ core, mount, dbFile, disk }) => {
  const first = await core.snapshots.create(VM, WHOLE)
  const added = await makeDisk(mount, 'added.img', 4 * MIB, [[0, Buffer.alloc(MIB, 3)]])
  await using later = await makeCore({ mounts: [mount], vms: [{ name: VM, disks: [disk, added] }], dbFile })
  const second = await later.snapshots.create(VM, WHOLE)
  const { disks } = await later.snapshots.get(VM, second.id, { squash: true, compareTo: first.id })
  assert.equal(disks[0]!.diff?.changedBytes, 0)
  assert.equal(disks[1]!.diff, undefined)
  assert.deepEqual(
    [...disks[1]!.chunks].map(({ start, length }) => [start, length]),
    [[0, MIB]],
  )
})

snapshotTest(
  'a disk that moved to another filesystem is compared by content',
  async ({ mount, dbFile, disk }) => {
    await using second = await mountFilesystem(storageKind('btrfs'))
    const mounts = [mount, second.mountPoint]
    await using before = await makeCore({ mounts, vms: [{ name: VM, disks: [disk] }], dbFile })
    const base = await before.snapshots.create(VM, WHOLE)
    const moved = join(second.mountPoint, 'disk.img')
    execFileSync('cp', ['--sparse=always', disk, moved])
    await writeAt(moved, MIB + 40_960, Buffer.alloc(4096, 8))
    const twin = await makeDisk(mount, 'twin.img', MIB)
    await using core = await makeCore({ mounts, vms: [{ name: VM, disks: [moved, twin] }], dbFile })
    const target = await core.snapshots.create(VM, WHOLE)
    assert.deepEqual(
      target.disks.map(({ backend }) => backend),
      ['btrfs', 'xfs'],
    )
    const { disks } = await core.snapshots.get(VM, target.id, { squash: true, compareTo: base.id })
    assert.equal(disks[0]!.diff?.method, 'content')
    assert.match(disks[0]!.diff?.fallbackReason ?? '', /moved from a repository of xfs to one of btrfs/)
    assert.deepEqual(
      [...disks[0]!.chunks].map(({ start, length }) => [start, length]),
      [[MIB + 40_960, 4096]],
    )
    await core.snapshots.purge(VM)
    assert.deepEqual(await snapshotFolders(mount), [])
    assert.deepEqual(await snapshotFolders(second.mountPoint), [])
  },
)
