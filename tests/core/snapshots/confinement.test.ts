import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DiskferryError } from '../../../core/errors.ts'
import { makeCore, makeDisk } from '../../support/core.ts'
import { swapNames } from '../../support/link-swapper.ts'
import { leftBehind, snapshotFolders } from '../../support/snapshot-folders.ts'
import { type Bench, failsWith, MIB, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'

/** How a disk is set before the snapshot, and what is said of it. */
const HOSTILE: readonly (readonly [string, (bench: Bench, secret: string) => Promise<void>, RegExp])[] = [
  ['a link out', (bench, secret) => symlink(secret, bench.disk), /lies outside every repository/],
  [
    'a relative link out',
    ({ disk }, secret) => symlink(`${'../'.repeat(20)}${secret.slice(1)}`, disk),
    /lies outside every repository/,
  ],
  ['a link through /proc', ({ disk }) => symlink('/proc/self/root/etc/passwd', disk), /lies outside/],
  [
    'a pipe',
    async ({ disk }) => {
      execFileSync('mkfifo', [disk])
    },
    /is not a regular file/,
  ],
  [
    'a device',
    async ({ disk }) => {
      execFileSync('mknod', [disk, 'c', '1', '5'])
    },
    /is not a regular file/,
  ],
  ['a folder', ({ disk }) => mkdir(disk), /is not a regular file/],
]

for (const [what, lay, reason] of HOSTILE) {
  snapshotTest(`${what} in the place of a disk refuses the snapshot`, async (bench) => {
    const { core, disk, mount, dbFile } = bench
    const secret = await makeDisk(dirname(dbFile), 'secret', MIB)
    await rm(disk)
    await lay(bench, secret)
    await assert.rejects(core.snapshots.create(VM, WHOLE), failsWith('VM_NOT_COMPATIBLE', reason))
    assert.deepEqual(await leftBehind(mount), [])
  })
}

snapshotTest('a link that is swapped into the way to a disk is never cloned', async ({ mount, dbFile }) => {
  // On the same filesystem, but outside of the repository: nothing but confinement keeps it from being cloned.
  const repository = join(mount, 'repository')
  await mkdir(join(repository, 'disks'), { recursive: true })
  await mkdir(join(mount, 'elsewhere'))
  const inside = await makeDisk(join(repository, 'disks'), 'disk', 0)
  await writeFile(inside, 'of the VM')
  await writeFile(join(mount, 'elsewhere/disk'), 'of another')
  await symlink(join(mount, 'elsewhere'), join(repository, 'trap'))
  await using core = await makeCore({
    mounts: [repository],
    vms: [{ name: VM, disks: [inside] }],
    dbFile: `${dbFile}-2`,
    requireMountPoint: false,
  })
  const outcomes = new Map<string, number>()
  {
    await using _swapping = await swapNames(join(repository, 'disks'), join(repository, 'trap'))
    for (let turn = 0; turn < 60; turn++) {
      const outcome = await core.snapshots.create(VM, WHOLE).then(
        async ({ disks: [made] }) => readFile(made!.path, 'utf8'),
        (error: unknown) => (error instanceof DiskferryError ? error.code : String(error)),
      )
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
  }
  const seen = JSON.stringify([...outcomes])
  assert.ok(outcomes.delete('of the VM'), seen)
  for (const outcome of outcomes.keys()) {
    assert.ok(['VM_NOT_COMPATIBLE', 'CLONE_FAILED'].includes(outcome), seen)
  }
})

snapshotTest(
  'a link in the place of the folder of snapshots is refused and left alone',
  async ({ core, mount, dbFile }) => {
    const elsewhere = join(dirname(dbFile), 'elsewhere')
    await mkdir(elsewhere)
    await writeFile(join(elsewhere, '.diskferry-trial-1-old'), 'not ours')
    await symlink(elsewhere, join(mount, 'CoriolisSnapshots'))
    await assert.rejects(
      core.snapshots.create(VM, WHOLE),
      failsWith('VM_NOT_COMPATIBLE', /is a link or a file and not a folder/),
    )
    assert.deepEqual(await readdir(elsewhere), ['.diskferry-trial-1-old'])
  },
)

snapshotTest('a link in the place of a snapshot, its folder or its disk is not served', async (bench) => {
  const { core, mount, dbFile } = bench
  const { id, disks } = await core.snapshots.create(VM, WHOLE)
  const { id: later } = await core.snapshots.create(VM, WHOLE)
  const path = disks[0]!.path
  const secret = await makeDisk(dirname(dbFile), 'disk.img', 8 * MIB, [[0, Buffer.from('secret')]])
  for (const place of [path, dirname(path), join(mount, 'CoriolisSnapshots')]) {
    await rename(place, `${place}.away`)
    await symlink(place === path ? secret : `${place}.away`, place)
    const damaged = failsWith('SNAPSHOT_DAMAGED', /link/)
    await assert.rejects(core.snapshots.openDisk(VM, id, 'disk.img'), damaged, place)
    await assert.rejects(core.snapshots.get(VM, id, WHOLE), damaged, place)
    await assert.rejects(core.snapshots.get(VM, later, { squash: true, compareTo: id }), damaged, place)
    await rm(place)
    await rename(`${place}.away`, place)
  }
  await using opened = await core.snapshots.openDisk(VM, id, 'disk.img')
  assert.equal(opened.size, 8 * MIB)
})

snapshotTest(
  'deleting a snapshot removes links in it and nothing behind them',
  async ({ core, mount, dbFile }) => {
    const { id, disks } = await core.snapshots.create(VM, WHOLE)
    const folder = dirname(disks[0]!.path)
    const elsewhere = join(dirname(dbFile), 'elsewhere')
    await mkdir(elsewhere)
    await writeFile(join(elsewhere, 'kept'), '')
    await symlink(elsewhere, join(folder, 'link'))
    await mkdir(join(folder, 'deep/er'), { recursive: true })
    await symlink(elsewhere, join(folder, 'deep/er/link'))
    await core.snapshots.delete(VM, id)
    assert.deepEqual(await readdir(elsewhere), ['kept'])
    assert.deepEqual(await snapshotFolders(mount), [])
  },
)
