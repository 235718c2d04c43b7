/**
 * OCFS2 copies up to 1 MiB for a write of 4 KiB into a shared file, so a difference by address reports far more than
 * changed. The number that `refine=true` is made for: at most 1.05 times the blocks that differ.
 */

import assert from 'node:assert/strict'
import { EXAMPLE_VM_ID } from '../support/agent-repository.ts'
import type { RemoteSnapshot } from '../support/api-client.ts'
import { openLab } from '../support/lab.ts'
import { Random } from '../support/random.ts'
import { StampedDisk } from '../support/stamped-disk.ts'
import { machineTest } from '../vm/inside/machine-test.ts'

const BLOCK = 4096
const DISK_BYTES = 1024 ** 3
const WRITES = 200
const MAX_RATIO = 1.05

machineTest(
  'ocfs2',
  `after ${WRITES} random writes to 1 GiB, a refined difference is at most ${MAX_RATIO} times what differs`,
  async ({ mount, signal, t }) => {
    await using lab = await openLab({ mountPoint: mount })
    const disk = { name: 'large.img', deviceName: 'xvda', size: DISK_BYTES }
    const vm = { id: EXAMPLE_VM_ID, friendlyName: 'large', disks: [disk] }
    const content = new StampedDisk((await lab.addVm(vm)).get(disk.name)!, DISK_BYTES)
    await content.fill(signal)
    const first = await lab.client.createSnapshot(vm.id)
    const changed = await content.rewrite((WRITES * BLOCK) / DISK_BYTES, new Random(3), signal)
    const second = await lab.client.createSnapshot(vm.id)

    const reported: number[] = []
    for (const refine of [false, true]) {
      const path = `/api/v1/vms/${vm.id}/snapshots/${second.id}?compareTo=${first.id}&refine=${refine}`
      const [compared] = ((await lab.client.json('GET', path)) as RemoteSnapshot).disks
      assert.deepEqual(content.missedBy(compared!.chunks), [], 'every changed block is in a chunk')
      reported.push(compared!.diff!.changed_bytes + compared!.diff!.zero_bytes)
    }
    const [physical, refined] = reported as [number, number]
    t.diagnostic(
      `${changed} bytes differ in blocks of 4 KiB; by address ${physical} (${(physical / changed).toFixed(1)} times), ` +
        `refined ${refined} (${(refined / changed).toFixed(4)} times)`,
    )
    assert.equal(changed, WRITES * BLOCK)
    assert.ok(refined <= MAX_RATIO * changed, `${refined} bytes reported for ${changed}`)
    assert.ok(physical > refined, 'OCFS2 copied no more than was written, so this proved nothing')
  },
)
