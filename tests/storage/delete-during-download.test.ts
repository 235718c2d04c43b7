import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Disk } from '../../conformance/guest/disk.ts'
import { EXAMPLE_VM_ID } from '../support/agent-repository.ts'
import { openLab } from '../support/lab.ts'
import { snapshotFolders } from '../support/snapshot-folders.ts'
import { storageTest } from '../support/storage-test.ts'

/** Much more than sockets and streams hold: most of it is read after the snapshot is gone. */
const DISK_BYTES = 64 * 1024 * 1024

for (const kind of ['xfs', 'btrfs'] as const) {
  storageTest(
    kind,
    'a download goes on to its last byte when its snapshot is deleted meanwhile',
    async ({ mount }) => {
      await using lab = await openLab({ mountPoint: mount })
      const vm = {
        id: EXAMPLE_VM_ID,
        friendlyName: 'deleted',
        disks: [{ name: 'disk.img', deviceName: 'xvda', size: DISK_BYTES }],
      }
      const disk = new Disk((await lab.addVm(vm)).get('disk.img')!)
      await disk.fill(0, DISK_BYTES, 1)
      const { id } = await lab.client.createSnapshot(vm.id)
      const content = await readFile(disk.path)
      const path = `/api/v1/vms/${vm.id}/snapshots/${id}/disks/disk.img`

      const { statusCode, body } = await lab.client.call('GET', path)
      assert.equal(statusCode, 200)
      await once(body, 'readable')
      await lab.client.deleteSnapshot(vm.id, id)
      assert.deepEqual(await snapshotFolders(mount), [])
      assert.ok(Buffer.from(await body.arrayBuffer()).equals(content))

      const gone = await lab.client.call('GET', path)
      assert.equal(gone.statusCode, 404, await gone.body.text())
    },
  )
}
