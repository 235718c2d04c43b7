import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ApiClient } from '../support/api-client.ts'
import { makeDisk } from '../support/core.ts'
import { startServer, USERNAME } from '../support/server.ts'
import { staticVm } from '../support/static-vm.ts'
import { storageTest } from '../support/storage-test.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { REFLINK_STORAGE } from './matrix.ts'

const MIB = 1024 * 1024
const SNAPSHOTS = '/api/v1/vms/vm-1/snapshots'

for (const kind of REFLINK_STORAGE.filter(({ name }) => name === 'xfs' || name === 'btrfs')) {
  storageTest(
    kind,
    'a server keeps a leased base through retention, deletion and a restart, until force comes',
    async ({ mount }) => {
      await using folder = await temporaryDirectory('leases')
      const disk = await makeDisk(mount, 'disk.img', 4 * MIB, [[0, Buffer.alloc(MIB, 1)]])
      const options = {
        directory: join(folder.path, 'server'),
        extraConfig: `[retention]
keep_last = 1
interval = "1s"

${staticVm(mount, disk)}`,
      }
      const first = await startServer(options)
      const before = new ApiClient(first)
      await before.login()
      const base = await before.createSnapshot('vm-1')
      const body = '{"ttl": "1h", "holder": "chain"}'
      await before.json('PUT', `${SNAPSHOTS}/${base.id}/lease`, { body })
      for (let count = 0; count < 2; count++) await before.createSnapshot('vm-1')
      await first.kill()
      await before.destroy()

      await using server = await startServer(options)
      await using client = new ApiClient(server)
      await client.login()
      const newest = await client.createSnapshot('vm-1')
      let kept: readonly string[] = []
      // The round is another process's doing: there is nothing to await but what it leaves.
      for (let tries = 0; tries < 200 && kept.length !== 2; tries++) {
        kept = (await client.vms())[0]!.snapshots
        await delay(50)
      }
      assert.deepEqual(kept, [base.id, newest.id])
      const deleted = await server.logged(({ audit }) => audit === 'snapshot.retention')
      assert.deepEqual([deleted['outcome'], deleted['vm']], ['ok', 'vm-1'])
      const { diff } = (await client.snapshot('vm-1', newest.id, base.id)).disks[0]!
      assert.equal(diff?.changed_bytes, 0)

      const other = await client.call('PUT', `${SNAPSHOTS}/${base.id}/lease`, {
        body: '{"ttl": "1h", "holder": "other"}',
      })
      assert.equal(other.statusCode, 409)
      assert.match(await other.body.text(), /SNAPSHOT_LEASED/)
      for (const path of [SNAPSHOTS, `${SNAPSHOTS}/${base.id}`]) {
        const refused = await client.call('DELETE', path)
        assert.equal(refused.statusCode, 409)
        assert.match(await refused.body.text(), /leased by \\"chain\\" until \d{4}-.*force=true/)
      }
      await client.json('DELETE', `${SNAPSHOTS}/${base.id}?force=true`)
      assert.deepEqual((await client.vms())[0]!.snapshots, [newest.id])
      await client.json('PUT', `${SNAPSHOTS}/${newest.id}/lease`, { body })
      await client.json('DELETE', `${SNAPSHOTS}?force=true`)
      assert.deepEqual((await client.vms())[0]!.snapshots, [])
      const warnings = server.logs.filter(({ msg }) => /deleted by force/.test(String(msg)))
      assert.deepEqual(
        warnings.map(({ level, user, holder, snapshot }) => [level, user, holder, snapshot]),
        [base.id, newest.id].map((id) => ['warn', USERNAME, 'chain', id]),
      )
      const purged = server.logs.findLast(({ audit }) => audit === 'snapshot.purge')
      assert.deepEqual([purged?.['outcome'], purged?.['user']], ['ok', USERNAME])
    },
  )
}
