import assert from 'node:assert/strict'
import { chmod, chown, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiClient } from '../support/api-client.ts'
import { makeDisk } from '../support/core.ts'
import { startServer } from '../support/server.ts'
import { staticVm } from '../support/static-vm.ts'
import { storageTest } from '../support/storage-test.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { unitSandbox } from './unit-sandbox.ts'

const unit = await readFile(new URL('../../contrib/diskferry.service', import.meta.url), 'utf8')
const MIB = 1024 * 1024
/** Of nobody in particular, but not of root. */
const OTHER_USER = 12_345

for (const [storage, refused] of [
  // Older systemd does not know it, and the unit says what happens then.
  ['xfs', ['openat2']],
  ['btrfs', []],
] as const) {
  const without = refused.length === 0 ? '' : `, without ${refused.join(' and ')},`
  storageTest(
    storage,
    `with what the systemd unit gives it${without} the server exports a disk of another user`,
    async ({ mount }) => {
      assert.doesNotMatch(unit, /^User=/m)
      const content = Buffer.alloc(MIB, 'guest')
      const disk = await makeDisk(mount, 'disk.img', MIB, [[0, content]])
      for (const [path, mode] of [
        [disk, 0o600],
        [mount, 0o700],
      ] as const) {
        await chmod(path, mode)
        await chown(path, OTHER_USER, OTHER_USER)
      }
      await using directory = await temporaryDirectory('unit-powers')
      await using server = await startServer({
        directory: join(directory.path, 'server'),
        extraConfig: staticVm(mount, disk),
        launcher: await unitSandbox(unit, refused),
      })
      await using client = new ApiClient(server)
      await client.login()
      const base = await client.createSnapshot('vm-1')
      const path = `/api/v1/vms/vm-1/snapshots/${base.id}/disks/disk.img`
      const { body } = await client.call('GET', path)
      assert.ok(content.equals(Buffer.from(await body.arrayBuffer())))
      const target = await client.createSnapshot('vm-1')
      assert.equal((await client.snapshot('vm-1', target.id, base.id)).disks[0]?.diff?.changed_bytes, 0)
      for (const { id } of [base, target]) await client.deleteSnapshot('vm-1', id)
      assert.deepEqual((await client.vms())[0]?.snapshots, [])

      const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
      // CAP_DAC_OVERRIDE is bit 1: linux/capability.h.
      for (const line of [
        'CapEff:\t0000000000000002',
        'CapBnd:\t0000000000000002',
        'NoNewPrivs:\t1',
        'Seccomp:\t2',
      ])
        assert.match(status, new RegExp(`^${line}$`, 'm'))
    },
  )
}
