/** What is mounted in the place of a repository is not taken for it: its files would be missing, and be forgotten. */

import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SnapshotRecord } from '../../../core/snapshots/snapshot-record.ts'
import { storageKind } from '../../storage/matrix.ts'
import { command } from '../../support/command.ts'
import { makeCore, makeDisk, type TestCore, writeAt } from '../../support/core.ts'
import { mountFilesystem } from '../../support/loop-filesystem.ts'
import { SNAPSHOTS, snapshotFolders } from '../../support/snapshot-folders.ts'
import { type Bench, failsWith, MIB, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const REFUSED = failsWith('REPOSITORY_NOT_MOUNTED', /is another filesystem than .*; mount the right one/)
const LEASE = { holder: 'weekly chain', ttlMs: 3_600_000 }

interface Taken {
  readonly core: TestCore
  readonly warnings: readonly string[]
  readonly base: string
  readonly target: string
}

/** Two snapshots, the second with a changed block; retention keeps the first for its lease. */
async function taken({ mount, disk, dbFile }: Bench, requireMountPoint = true): Promise<Taken> {
  const warnings: string[] = []
  const log = {
    info: () => undefined,
    warn: (_fields: object, message: string) => void warnings.push(message),
    error: () => undefined,
  }
  const core = await makeCore({
    mounts: [mount],
    vms: [{ name: VM, disks: [disk] }],
    dbFile,
    requireMountPoint,
    retention: { keepLast: 1 },
    log,
  })
  const base = (await core.snapshots.create(VM, WHOLE)).id
  await core.leases.take(VM, base, LEASE)
  await core.retention.idle()
  await writeAt(disk, 4 * MIB, Buffer.alloc(4096, 2))
  const target = (await core.snapshots.create(VM, WHOLE)).id
  await core.retention.idle()
  return { core, warnings, base, target }
}

async function isRefused({ core, warnings, base, target }: Taken): Promise<void> {
  const before = await core.store.read(VM)
  assert.deepEqual(
    before.snapshots.map(({ id }) => id),
    [base, target],
  )
  await assert.rejects(core.snapshots.list(VM, WHOLE), REFUSED)
  await assert.rejects(core.snapshots.get(VM, target, WHOLE), REFUSED)
  await assert.rejects(core.snapshots.get(VM, target, { squash: true, compareTo: base }), REFUSED)
  await assert.rejects(core.snapshots.openDisk(VM, target, 'disk.img'), REFUSED)
  await assert.rejects(core.leases.take(VM, target, LEASE), REFUSED)
  await assert.rejects(core.leases.get(VM, target), REFUSED)
  await assert.rejects(core.leases.release(VM, base), REFUSED)
  await assert.rejects(core.snapshots.delete(VM, target), REFUSED)
  await assert.rejects(core.snapshots.delete(VM, target, { force: true }), REFUSED)
  await assert.rejects(core.snapshots.purge(VM, { force: true }), REFUSED)
  assert.deepEqual(await core.store.read(VM), before)

  const unleased = before.snapshots.map(({ lease: _, ...snapshot }): SnapshotRecord => snapshot)
  await core.store.write({ ...before, snapshots: unleased })
  core.retention.soon(VM)
  await core.retention.idle()
  assert.match(warnings.at(-1)!, /retention could not delete a snapshot/)
  assert.equal((await core.store.read(VM)).snapshots.length, 2)

  for (const state of ['creating', 'deleting'] as const) {
    await core.store.write({ ...before, snapshots: before.snapshots.map((known) => ({ ...known, state })) })
    await core.journal.recoverAll()
    assert.match(warnings.at(-1)!, /another filesystem/)
    assert.equal((await core.store.read(VM)).snapshots.length, 2, state)
  }
  await core.store.write(before)
}

async function worksAgain({ core, base, target }: Taken, mount: string): Promise<void> {
  const { disks } = await core.snapshots.get(VM, target, { squash: true, compareTo: base })
  assert.deepEqual(
    [...disks[0]!.chunks].map(({ start, length }) => [start, length]),
    [[4 * MIB, 4096]],
  )
  await core.leases.release(VM, base)
  await core.snapshots.delete(VM, base)
  await core.snapshots.purge(VM)
  assert.deepEqual(await snapshotFolders(mount), [])
  assert.deepEqual(await core.store.vmIds(), [])
}

snapshotTest(
  'a snapshot is neither served nor forgotten while a new filesystem is mounted there',
  async (bench) => {
    const { mount, filesystem, core: first } = bench
    await first[Symbol.asyncDispose]()
    await using other = await mountFilesystem(storageKind('xfs'))
    await other.unmount()
    const made = await taken(bench)
    await using _core = made.core
    await filesystem.unmount()
    await command('mount', ['-o', 'loop', other.image, mount])
    try {
      await isRefused(made)
      assert.deepEqual(await readdir(mount), [], 'nothing was written to the other one')
      await mkdir(join(mount, SNAPSHOTS))
      await isRefused(made)
      assert.deepEqual(await snapshotFolders(mount), [])
    } finally {
      await filesystem.unmount()
    }
    await filesystem.mount()
    await worksAgain(made, mount)
  },
)

snapshotTest(
  'a snapshot is neither served nor forgotten while another repository is mounted there, until an administrator says that it stands in',
  async (bench) => {
    const { mount, filesystem, core: first } = bench
    await first[Symbol.asyncDispose]()
    await using other = await mountFilesystem(storageKind('xfs'))
    {
      const disk = await makeDisk(other.mountPoint, 'disk.img', MIB)
      const mounts = [other.mountPoint]
      await using core = await makeCore({
        mounts,
        vms: [{ name: VM, disks: [disk] }],
        dbFile: `${bench.dbFile}.other`,
      })
      await core.snapshots.create(VM, WHOLE)
    }
    const theirs = await snapshotFolders(other.mountPoint)
    await other.unmount()
    const made = await taken(bench)
    await using _core = made.core
    await filesystem.unmount()
    await command('mount', ['-o', 'loop', other.image, mount])
    try {
      await isRefused(made)
      const { repositoryStamp } = (await made.core.store.read(VM)).snapshots[0]!.disks[0]!
      const file = join(mount, SNAPSHOTS, '.repository')
      const stamp = (await readFile(file, 'utf8')).trim()
      const says = new RegExp(`'${file}' says ${stamp} where ${repositoryStamp} was recorded`)
      await assert.rejects(
        made.core.snapshots.delete(VM, made.target),
        failsWith('REPOSITORY_NOT_MOUNTED', says),
      )
      await writeFile(file, `${stamp}\n${repositoryStamp}\n`)
      await assert.rejects(
        made.core.snapshots.get(VM, made.target, WHOLE),
        failsWith('SNAPSHOT_DAMAGED', /missing/),
      )
      await made.core.snapshots.purge(VM, { force: true })
      assert.deepEqual(await made.core.store.vmIds(), [])
      assert.deepEqual(await snapshotFolders(mount), theirs)
    } finally {
      await filesystem.unmount()
    }
    await filesystem.mount()
  },
)

snapshotTest(
  'a snapshot is neither served nor forgotten while nothing is mounted and a mount point is not required',
  async (bench) => {
    const { mount, filesystem, core: first } = bench
    await first[Symbol.asyncDispose]()
    const made = await taken(bench, false)
    await using _core = made.core
    await filesystem.unmount()
    await isRefused(made)
    assert.deepEqual(await readdir(mount), [])
    await filesystem.mount()
    await worksAgain(made, mount)
  },
)

snapshotTest(
  'a record of before there were stamps is not forgotten where there is no folder for snapshots',
  async ({ core, mount, filesystem }) => {
    const { id } = await core.snapshots.create(VM, WHOLE)
    const record = await core.store.read(VM)
    const [snapshot] = record.snapshots
    const disks = snapshot!.disks.map(({ repositoryStamp: _, ...disk }) => disk)
    await core.store.write({ ...record, snapshots: [{ ...snapshot!, disks }] })
    await rm(join(mount, SNAPSHOTS, '.repository'))
    await using other = await mountFilesystem(storageKind('xfs'))
    await other.unmount()
    await filesystem.unmount()
    await command('mount', ['-o', 'loop', other.image, mount])
    try {
      await assert.rejects(
        core.snapshots.get(VM, id, WHOLE),
        failsWith('REPOSITORY_NOT_MOUNTED', /no folder/),
      )
      await assert.rejects(core.snapshots.delete(VM, id), failsWith('REPOSITORY_NOT_MOUNTED', /no folder/))
    } finally {
      await filesystem.unmount()
    }
    await filesystem.mount()
    assert.equal((await core.snapshots.get(VM, id, WHOLE)).id, id)
    await core.snapshots.delete(VM, id)
    assert.deepEqual(await snapshotFolders(mount), [])
  },
)

snapshotTest(
  'every snapshot has the stamp of its repository, which servers that begin at once make once',
  async ({ mount, core: first }) => {
    await first[Symbol.asyncDispose]()
    await using folder = await temporaryDirectory('stamps')
    const names = ['one', 'two', 'three', 'four']
    const cores = await Promise.all(
      names.map(async (name) => {
        const disk = await makeDisk(mount, `${name}.img`, MIB)
        return makeCore({
          mounts: [mount],
          vms: [{ name, disks: [disk] }],
          dbFile: join(folder.path, `${name}.db`),
        })
      }),
    )
    try {
      const ids = await Promise.all(
        cores.map(async (core, index) => (await core.snapshots.create(names[index]!, WHOLE)).id),
      )
      const stamp = (await readFile(join(mount, SNAPSHOTS, '.repository'), 'utf8')).trim()
      for (const [index, core] of cores.entries()) {
        const [snapshot] = (await core.store.read(names[index]!)).snapshots
        assert.equal(snapshot!.disks[0]!.repositoryStamp, stamp)
        const manifest = join(mount, SNAPSHOTS, ids[index]!, 'snapshot.json')
        assert.equal(JSON.parse(await readFile(manifest, 'utf8')).disks[0].repositoryStamp, stamp)
      }
      assert.deepEqual(await snapshotFolders(mount), ids.sort())
    } finally {
      for (const core of cores) await core[Symbol.asyncDispose]()
    }
  },
)
