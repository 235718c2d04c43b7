/** A kernel before 5.6 answers openat2(2) with ENOSYS: then paths are walked folder by folder. */

import assert from 'node:assert/strict'
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { ApiClient } from '../support/api-client.ts'
import { swapNames } from '../support/link-swapper.ts'
import { refusingCalls } from '../support/seccomp.ts'
import { startServer } from '../support/server.ts'
import { staticVm } from '../support/static-vm.ts'
import { storageTest } from '../support/storage-test.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const SNAPSHOTS = '/api/v1/vms/vm-1/snapshots'
const TURNS = 30
/** So many until one has succeeded, which is a matter of chance. */
const MOST_TURNS = 600

storageTest(
  'xfs',
  'without openat2 a snapshot is made and served, and a link that is swapped into the way never wins',
  async ({ mount }) => {
    // On the same filesystem, but outside of the repository: nothing but confinement keeps it from being cloned.
    const [root, elsewhere] = [join(mount, 'repository'), join(mount, 'elsewhere')]
    const [disks, trap] = [join(root, 'disks'), join(root, 'trap')]
    for (const folder of [disks, elsewhere]) await mkdir(folder, { recursive: true })
    await writeFile(join(disks, 'disk.img'), 'of the VM')
    await writeFile(join(elsewhere, 'disk.img'), 'of another')
    await symlink(elsewhere, trap)
    await using directory = await temporaryDirectory('without-openat2')
    await using server = await startServer({
      directory: join(directory.path, 'server'),
      extraConfig: staticVm(root, join(disks, 'disk.img')),
      requireMountPoint: false,
      launcher: refusingCalls(['openat2'], constants.errno.ENOSYS),
    })
    assert.match(await readFile(`/proc/${server.pid}/status`, 'utf8'), /^Seccomp:\t2$/m)
    await using client = new ApiClient(server)
    await client.login()
    const bytesOf = async (id: string) => {
      const { body } = await client.call('GET', `${SNAPSHOTS}/${id}/disks/disk.img`)
      return body.text()
    }
    const first = await client.createSnapshot('vm-1')
    assert.equal(await bytesOf(first.id), 'of the VM')

    const outcomes = new Map<string, number>()
    {
      await using _swapping = await swapNames(disks, trap)
      for (let turn = 0; turn < TURNS || (turn < MOST_TURNS && !outcomes.has('of the VM')); turn++) {
        const { body } = await client.call('POST', SNAPSHOTS)
        const { id, code } = (await body.json()) as { readonly id?: string; readonly code?: string }
        const outcome = id === undefined ? code! : await bytesOf(id)
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
    }
    const seen = JSON.stringify([...outcomes])
    assert.ok(outcomes.has('of the VM'), seen)
    for (const outcome of outcomes.keys())
      assert.ok(['of the VM', 'VM_NOT_COMPATIBLE', 'CLONE_FAILED'].includes(outcome), seen)

    const clone = join(root, 'CoriolisSnapshots', first.id, 'disk.img')
    await rename(clone, `${clone}.away`)
    await symlink(`${clone}.away`, clone)
    assert.match(await bytesOf(first.id), /SNAPSHOT_DAMAGED/)
    assert.match(await bytesOf((await client.createSnapshot('vm-1')).id), /of the VM/)
  },
)
