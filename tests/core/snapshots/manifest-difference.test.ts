/** The database and the snapshot.json beside the clones must say the same of what is served. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DiskRecord, SnapshotRecord, VmRecord } from '../../../core/snapshots/snapshot-record.ts'
import { makeCore, makeDisk, type TestCore, writeAt } from '../../support/core.ts'
import { snapshotFolders } from '../../support/snapshot-folders.ts'
import { failsWith, MIB, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'

const DISK = 'disk.img'
const EDITS: readonly (readonly [RegExp, (disk: DiskRecord) => readonly DiskRecord[]])[] = [
  [/has 8388608 as the size of disk disk\.img where 5 was/, (disk) => [{ ...disk, size: 5 }]],
  [/has \d+ as the inode of disk disk\.img where 7 was/, (disk) => [{ ...disk, inode: 7 }]],
  [/has \d+ as the inode of disk .* where none was/, ({ inode: _, ...disk }) => [disk]],
  [/has \d+ as the birthTimeNs of .* where 7 was/, (disk) => [{ ...disk, birthTimeNs: '7' }]],
  [/lacks the disk other\.img/, (disk) => [{ ...disk, name: 'other.img' }]],
  [/has 1 disks where 2 were recorded/, (disk) => [disk, { ...disk, name: 'other.img' }]],
]

snapshotTest(
  'what the database says of a snapshot otherwise than its snapshot.json is refused',
  async (bench) => {
    const { core, disk } = bench
    const base = await core.snapshots.create(VM, WHOLE)
    await writeAt(disk, 4 * MIB, Buffer.alloc(4096, 2))
    const { id } = await core.snapshots.create(VM, WHOLE)
    const before = await core.store.read(VM)
    for (const [reason, change] of EDITS) {
      await core.store.write(withDisks(before, id, change))
      const { name } = (await core.store.read(VM)).snapshots[1]!.disks[0]!
      await isDamaged(core, VM, { base: base.id, id, name }, reason)
      await core.store.write(before)
    }
    await core.store.write({ ...before, vmId: 'strange' })
    await isDamaged(core, 'strange', { base: base.id, id, name: DISK }, /is of VM vm-1 where strange was/)
    await isServed(core, base.id, id)
  },
)

snapshotTest(
  'something else in the place of a snapshot.json is neither read nor waited for',
  async (bench) => {
    const { core, disk } = bench
    const base = await core.snapshots.create(VM, WHOLE)
    await writeAt(disk, 4 * MIB, Buffer.alloc(4096, 2))
    const { id, disks } = await core.snapshots.create(VM, WHOLE)
    const file = join(dirname(disks[0]!.path), 'snapshot.json')
    const text = await readFile(file)
    await rename(file, `${file}.away`)
    for (const [reason, put] of [
      [/lies behind a link/, () => symlink(`${file}.away`, file)],
      [/is not a regular file/, () => mkdir(file)],
      [/is not a regular file/, async () => void execFileSync('mkfifo', [file])],
      [/is not JSON/, () => writeFile(file, '')],
      [/has \d+ bytes, which is too much/, () => writeFile(file, Buffer.alloc(5 * MIB, ' '))],
    ] as const) {
      await put()
      await isDamaged(core, VM, { base: base.id, id, name: DISK }, reason)
      await rm(file, { recursive: true })
    }
    await writeFile(file, text)
    await isServed(core, base.id, id)
  },
)

snapshotTest('swapped snapshots are told where neither inodes nor birth times last', async ({ core }) => {
  const made = [await core.snapshots.create(VM, WHOLE), await core.snapshots.create(VM, WHOLE)] as const
  for (const { disks } of made) {
    const file = join(dirname(disks[0]!.path), 'snapshot.json')
    const manifest = JSON.parse(await readFile(file, 'utf8'))
    await writeFile(file, JSON.stringify({ ...manifest, disks: manifest.disks.map(anonymous) }))
  }
  const before = await core.store.read(VM)
  const snapshots = before.snapshots.map((known) => ({ ...known, disks: known.disks.map(anonymous) }))
  await core.store.write({ ...before, snapshots })
  const [left, right] = made.map(({ disks }) => dirname(disks[0]!.path)) as [string, string]
  await core.snapshots.get(VM, made[1].id, WHOLE)
  await rename(left, `${left}.away`)
  await rename(right, left)
  await rename(`${left}.away`, right)
  for (const { id } of made) {
    const swapped = failsWith('SNAPSHOT_DAMAGED', /snapshot\.json names another snapshot than its folder/)
    await assert.rejects(core.snapshots.openDisk(VM, id, DISK), swapped)
  }
})

snapshotTest('no snapshot is made whose snapshot.json could not be read', async ({ mount, dbFile }) => {
  const disk = await makeDisk(mount, 'disk\n.img', MIB)
  await using core = await makeCore({
    mounts: [mount],
    vms: [{ name: VM, disks: [disk] }],
    dbFile: `${dbFile}-2`,
  })
  const refused = failsWith(
    'VM_NOT_COMPATIBLE',
    /its snapshot\.json has a disk without a usable name: rename/,
  )
  await assert.rejects(core.snapshots.create(VM, WHOLE), refused)
  assert.deepEqual(await snapshotFolders(mount), [])
  assert.deepEqual(await core.store.vmIds(), [])
})

interface Pair {
  readonly base: string
  readonly id: string
  readonly name: string
}

async function isDamaged(core: TestCore, vmId: string, { base, id, name }: Pair, reason: RegExp) {
  const damaged = failsWith('SNAPSHOT_DAMAGED', reason)
  await assert.rejects(core.snapshots.openDisk(vmId, id, name), damaged)
  await assert.rejects(core.snapshots.get(vmId, id, WHOLE), damaged)
  await assert.rejects(core.snapshots.get(vmId, id, { squash: true, compareTo: base }), damaged)
  assert.match((await core.snapshots.list(vmId, WHOLE))[1]?.damage ?? '', reason)
}

async function isServed(core: TestCore, base: string, id: string): Promise<void> {
  const { disks } = await core.snapshots.get(VM, id, { squash: true, compareTo: base })
  assert.equal(disks[0]!.diff?.changedBytes, 4096)
  await using opened = await core.snapshots.openDisk(VM, id, DISK)
  assert.equal(opened.size, 8 * MIB)
}

function withDisks(
  record: VmRecord,
  id: string,
  change: (disk: DiskRecord) => readonly DiskRecord[],
): VmRecord {
  const changed = (known: SnapshotRecord): SnapshotRecord =>
    known.id === id ? { ...known, disks: known.disks.flatMap(change) } : known
  return { ...record, snapshots: record.snapshots.map(changed) }
}

function anonymous({ inode: _, birthTimeNs: __, ...disk }: DiskRecord): DiskRecord {
  return disk
}
