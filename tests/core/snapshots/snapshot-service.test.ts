import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DiskferryError, type ErrorCode } from '../../../core/errors.ts'
import type { SnapshotRecord } from '../../../core/snapshots/snapshot-record.ts'
import { storageKind } from '../../storage/matrix.ts'
import { makeCore, makeDisk, type TestCore, writeAt } from '../../support/core.ts'
import { mountFilesystem } from '../../support/loop-filesystem.ts'
import { type StorageTestContext, storageTest } from '../../support/storage-test.ts'

const VM = 'vm-1'
const WHOLE = { squash: true }
const MIB = 1024 * 1024

interface Bench extends StorageTestContext {
  readonly core: TestCore
  readonly disk: string
  readonly dbFile: string
}

/** A core over one repository with one VM that has one disk. */
function snapshotTest(sentence: string, body: (bench: Bench) => Promise<void>): void {
  storageTest('xfs', sentence, async (context) => {
    const disk = await makeDisk(context.mount, 'disk.img', 8 * MIB, [[MIB, Buffer.alloc(MIB, 1)]])
    const dbFile = join(context.filesystem.image, '..', 'test.db')
    await using core = await makeCore({ mounts: [context.mount], vms: [{ name: VM, disks: [disk] }], dbFile })
    await body({ ...context, core, disk, dbFile })
  })
}

function failsWith(code: ErrorCode, pattern = /./) {
  return (error: unknown) => {
    assert.ok(error instanceof DiskferryError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, pattern)
    return true
  }
}

async function snapshotFolders(mount: string): Promise<string[]> {
  return (await readdir(join(mount, 'CoriolisSnapshots'))).sort()
}

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

snapshotTest('a full filesystem refuses the snapshot and nothing is left behind', async ({ core, mount }) => {
  await core.snapshots.purge(VM)
  fillUp(mount)
  await assert.rejects(core.snapshots.create(VM, WHOLE), (error: unknown) => {
    assert.ok(error instanceof DiskferryError)
    assert.ok(
      ['REPOSITORY_FULL', 'VM_NOT_COMPATIBLE'].includes(error.code),
      `${error.code}: ${error.message}`,
    )
    assert.match(error.message, /full|space/i)
    return true
  })
  assert.deepEqual(await leftBehind(mount), [])
  assert.deepEqual(await core.store.vmIds(), [])
})

snapshotTest(
  'a clone that fails on one of two disks takes back the other one',
  async ({ mount, disk, dbFile }) => {
    const { default: xfs } = await import('../../../backends/xfs/index.ts')
    const real = xfs()
    const failing = {
      manifest: real.manifest,
      checkCompatibility: real.checkCompatibility.bind(real),
      extentMap: real.extentMap.bind(real),
      diff: real.diff.bind(real),
      async clone(source: string, target: string, signal?: AbortSignal) {
        if (source.endsWith('second.img'))
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
    await assert.rejects(core.snapshots.create(VM, WHOLE), failsWith('VM_NOT_COMPATIBLE', /read-only/))
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
  async ({ core }) => {
    const { id, disks } = await core.snapshots.create(VM, WHOLE)
    const path = disks[0]!.path
    await truncate(path, MIB)
    await assert.rejects(
      core.snapshots.openDisk(VM, id, 'disk.img'),
      failsWith('SNAPSHOT_DAMAGED', /1048576 bytes/),
    )
    await assert.rejects(core.snapshots.get(VM, id, WHOLE), failsWith('SNAPSHOT_DAMAGED'))
    await rm(path)
    await assert.rejects(core.snapshots.get(VM, id, WHOLE), failsWith('SNAPSHOT_DAMAGED', /missing/))
    await mkdir(path)
    await assert.rejects(
      core.snapshots.openDisk(VM, id, 'disk.img'),
      failsWith('SNAPSHOT_DAMAGED', /regular/),
    )
    await core.snapshots.delete(VM, id)
  },
)

snapshotTest(
  'openDisk() gives the bytes and refuses a disk that the snapshot lacks',
  async ({ core, disk }) => {
    const { id } = await core.snapshots.create(VM, WHOLE)
    await writeAt(disk, MIB, Buffer.alloc(10, 9))
    await using opened = await core.snapshots.openDisk(VM, id, 'disk.img')
    const { buffer } = await opened.handle.read(Buffer.alloc(10), 0, 10, MIB)
    assert.ok(buffer.equals(Buffer.alloc(10, 1)))
    assert.equal(opened.size, 8 * MIB)
    await assert.rejects(
      core.snapshots.openDisk(VM, id, 'snapshot.json'),
      failsWith('DISK_NOT_FOUND', /disk\.img/),
    )
    await assert.rejects(core.snapshots.openDisk(VM, id, '../disk.img'), failsWith('DISK_NOT_FOUND'))
  },
)

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

storageTest(
  'xfs',
  'a full disk of the database refuses the snapshot and takes back its files',
  async ({ mount }) => {
    await using small = await mountFilesystem(storageKind('ext4'), { sizeBytes: 4 * MIB })
    const dbFile = join(small.mountPoint, 'test.db')
    const disk = await makeDisk(mount, 'disk.img', MIB)
    await using core = await makeCore({ mounts: [mount], vms: [{ name: VM, disks: [disk] }], dbFile })
    const kept = await core.snapshots.create(VM, WHOLE)
    fillUp(small.mountPoint)
    await assert.rejects(
      async () => {
        // The database may have a free page or two inside.
        for (let count = 0; count < 50; count++) await core.snapshots.create(VM, WHOLE)
      },
      failsWith('STORE_FAILED', /full/),
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

function fillUp(mount: string): void {
  const script = `
i=0
while dd if=/dev/zero of="$1/fill-$i" bs=1M status=none 2>/dev/null; do i=$((i + 1)); done
i=0
while mkdir "$1/folder-$i" 2>/dev/null && echo filling > "$1/folder-$i/file" 2>/dev/null; do i=$((i + 1)); done
sync`
  execFileSync('sh', ['-c', script, 'fill', mount])
}

/** Snapshot folders and trial files; the folder for them may stay. */
async function leftBehind(mount: string): Promise<string[]> {
  return (await readdir(mount)).includes('CoriolisSnapshots') ? snapshotFolders(mount) : []
}
