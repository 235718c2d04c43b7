import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeCore, makeDisk, type TestCore } from '../../support/core.ts'
import { deferred } from '../../support/deferred.ts'
import { openedHere } from '../../support/lock-users.ts'
import { failsWith, MIB, snapshotTest } from '../../support/snapshot-test.ts'

const ID = '1f6c5d5e-2f3b-4a57-9f3e-6a1d2c3b4a59'
const VM = 'vm-plain'

snapshotTest(
  'files without a snapshot.json are looked at again under the locks of the VM that they are adopted for',
  async ({ mount, dbFile }) => {
    const disk = await makeDisk(mount, 'plain.img', MIB)
    const other = await makeDisk(mount, 'other.img', MIB)
    await using core = await makeCore({
      mounts: [mount],
      vms: [
        { name: VM, disks: [disk, other] },
        { name: 'vm-less', disks: [disk] },
      ],
      dbFile,
    })
    const folder = join(mount, 'CoriolisSnapshots', ID)
    await mkdir(folder, { recursive: true })
    for (const [name, file] of [
      ['plain.img', disk],
      ['other.img', other],
    ] as const) {
      await copyFile(file, join(folder, name))
    }
    const adopting = (vmId?: string) => core.orphans.adopt(ID, vmId).catch((error: unknown) => error)

    const lacking = await whileHeld(core, mount, adopting, () => rm(join(folder, 'other.img')))
    failsWith('ORPHAN_REFUSED', /it lacks the disks other\.img of VM vm-plain/)(lacking)
    const gone = await whileHeld(
      core,
      mount,
      () => adopting('vm-less'),
      () => rm(folder, { recursive: true }),
      'vm-less',
    )
    failsWith('SNAPSHOT_NOT_FOUND')(gone)
    assert.deepEqual(await core.store.vmIds(), [])
    assert.deepEqual(await readdir(join(mount, 'CoriolisSnapshots')), ['.locks'])

    await mkdir(folder)
    await copyFile(disk, join(folder, 'plain.img'))
    assert.equal(await adopting(), 'vm-less')
    assert.deepEqual(
      (await core.store.read('vm-less')).snapshots.map(({ id }) => id),
      [ID],
    )
  },
)

/** Begins `work` while another host has the lock of a VM in the repository, and lets it go on after `change`. */
async function whileHeld<Result>(
  { changes }: TestCore,
  mount: string,
  work: () => Promise<Result>,
  change: () => Promise<void>,
  vmId = VM,
): Promise<Result> {
  const held = deferred()
  const release = deferred()
  const holding = changes.run([mount], vmId, async () => {
    held.resolve()
    await release.promise
  })
  await held.promise
  const working = work()
  try {
    await openedHere(join(mount, 'CoriolisSnapshots/.locks', vmId), 2)
    await change()
  } finally {
    release.resolve()
  }
  await holding
  return working
}
