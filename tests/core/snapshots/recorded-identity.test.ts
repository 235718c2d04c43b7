import assert from 'node:assert/strict'
import { chmod, link, lstat, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { REFLINK_STORAGE } from '../../storage/matrix.ts'
import { makeCore, makeDisk, type TestCore } from '../../support/core.ts'
import type { LoopFilesystem } from '../../support/loop-filesystem.ts'
import { failsWith, MIB, VM, WHOLE } from '../../support/snapshot-test.ts'
import { storageTest } from '../../support/storage-test.ts'

const SIZE = 4 * MIB
const DISK = 'disk.img'
const MOST_TRIES = 3000

for (const kind of REFLINK_STORAGE.filter(({ name }) => name === 'xfs' || name === 'btrfs')) {
  storageTest(
    kind,
    'a file that was given the inode of the clone that it replaces is not served',
    async ({ mount, filesystem }) => {
      await using core = await coreOver(mount, filesystem)
      const { id, disks } = await core.snapshots.create(VM, WHOLE)
      const path = disks[0]!.path
      const before = await core.store.read(VM)
      const { inode, birthTimeNs } = before.snapshots[0]!.disks[0]!
      assert.ok(birthTimeNs, 'it is recorded')
      const manifestFile = join(dirname(path), 'snapshot.json')
      const manifest = JSON.parse(await readFile(manifestFile, 'utf8'))
      assert.equal(manifest.disks[0].birthTimeNs, birthTimeNs)

      await takeInode(path, inode!, kind.name === 'btrfs' ? filesystem : undefined)
      const replaced = failsWith(
        'SNAPSHOT_DAMAGED',
        /disk\.img was replaced: it came into being at \d{4}-.*\.\d{9}Z where \d{4}-.*\.\d{9}Z was recorded/,
      )
      await assert.rejects(core.snapshots.openDisk(VM, id, DISK), replaced)
      await assert.rejects(core.snapshots.get(VM, id, WHOLE), replaced)
      assert.match((await core.snapshots.list(VM, WHOLE))[0]?.damage ?? '', /was replaced/)

      // A snapshot of before there were birth times goes by what it has.
      const { birthTimeNs: _, ...older } = before.snapshots[0]!.disks[0]!
      await writeFile(manifestFile, JSON.stringify({ ...manifest, disks: [older] }))
      await core.store.write({ ...before, snapshots: [{ ...before.snapshots[0]!, disks: [older] }] })
      await using opened = await core.snapshots.openDisk(VM, id, DISK)
      assert.equal(opened.size, SIZE)
    },
  )

  storageTest(
    kind,
    'a clone that is renamed, linked, touched, and mounted anew is the clone that was recorded',
    async ({ mount, filesystem }) => {
      await using core = await coreOver(mount, filesystem)
      const { id, disks } = await core.snapshots.create(VM, WHOLE)
      const path = disks[0]!.path
      await rename(path, `${path}.away`)
      await link(`${path}.away`, path)
      await rm(`${path}.away`)
      await chmod(path, 0o600)
      await utimes(path, 1, 1)
      await filesystem.unmount()
      await filesystem.mount()
      await using opened = await core.snapshots.openDisk(VM, id, DISK)
      assert.equal(opened.size, SIZE)
    },
  )
}

async function coreOver(mount: string, filesystem: LoopFilesystem): Promise<TestCore> {
  const disk = await makeDisk(mount, DISK, SIZE, [[MIB, Buffer.alloc(MIB, 1)]])
  const dbFile = join(filesystem.image, '..', 'test.db')
  return makeCore({ mounts: [mount], vms: [{ name: VM, disks: [disk] }], dbFile })
}

/**
 * Replaces a file by another of the same size and inode number. XFS gives a number again soon after it is free; btrfs
 * only after a new mount, which goes on from the highest number that there is.
 */
async function takeInode(path: string, inode: number, remounted: LoopFilesystem | undefined): Promise<void> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    await rm(path)
    if (remounted !== undefined) {
      await remounted.unmount()
      await remounted.mount()
    }
    await makeDisk(dirname(path), DISK, SIZE)
    if ((await lstat(path)).ino === inode) return
  }
  assert.fail(`inode ${inode} was not given again`)
}
