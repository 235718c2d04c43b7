import assert from 'node:assert/strict'
import { link, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import cifs from '../../backends/cifs/index.ts'
import nfs42 from '../../backends/nfs42/index.ts'
import ocfs2 from '../../backends/ocfs2/index.ts'
import { makeCore, makeDisk } from '../support/core.ts'
import { failsWith, MIB, VM, WHOLE } from '../support/snapshot-test.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { machineTest } from '../vm/inside/machine-test.ts'

const DISK = 'disk.img'

/** None has a birth time that can be recorded: OCFS2 and NFS give none, and SMB what its server makes of it. */
for (const [kind, backend] of [
  ['ocfs2', ocfs2()],
  ['nfs42', nfs42()],
  ['cifs', cifs()],
] as const) {
  machineTest(
    kind,
    'a snapshot is known by its inode after a rename, a link and a new mount, and replaced files are not',
    async ({ mount, filesystem }) => {
      await using folder = await temporaryDirectory('identity')
      const disk = await makeDisk(mount, DISK, MIB, [[0, Buffer.alloc(MIB, 1)]])
      await using core = await makeCore({
        mounts: [mount],
        vms: [{ name: VM, disks: [disk] }],
        dbFile: join(folder.path, 'test.db'),
        backends: [backend],
      })
      const { id, disks } = await core.snapshots.create(VM, WHOLE)
      const path = disks[0]!.path
      const { inode, birthTimeNs } = (await core.store.read(VM)).snapshots[0]!.disks[0]!
      assert.ok(inode !== undefined && birthTimeNs === undefined, `inode ${inode}, born ${birthTimeNs}`)

      await rename(path, `${path}.away`)
      await link(`${path}.away`, path)
      await rm(`${path}.away`)
      await utimes(path, 1000, 1000)
      await filesystem.remount()
      {
        await using opened = await core.snapshots.openDisk(VM, id, DISK)
        assert.equal(opened.size, MIB)
      }
      assert.ok((await readFile(path)).equals(await readFile(disk)))

      // Beside the clone, so that it has another inode.
      const replacement = join(dirname(path), 'replacement')
      await writeFile(replacement, Buffer.alloc(MIB, 2))
      await rename(replacement, path)
      await assert.rejects(
        core.snapshots.openDisk(VM, id, DISK),
        failsWith('SNAPSHOT_DAMAGED', /was replaced: it has inode/),
      )
      await core.snapshots.delete(VM, id)
    },
  )
}
