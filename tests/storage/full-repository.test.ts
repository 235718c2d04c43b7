/** Wherever the space of a repository runs out, a client hears the same, and nothing is left behind. */

import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { Disk } from '../../conformance/guest/disk.ts'
import { EXAMPLE_VM_ID } from '../support/agent-repository.ts'
import { callAnswer } from '../support/call-answer.ts'
import { fillUp } from '../support/fill-up.ts'
import { hookHold } from '../support/hook-hold.ts'
import { openLab } from '../support/lab.ts'
import { leftBehind } from '../support/snapshot-folders.ts'
import { storageTest } from '../support/storage-test.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { type StorageKind, storageKind } from './matrix.ts'

const MIB = 1024 * 1024
const VM = {
  id: EXAMPLE_VM_ID,
  friendlyName: 'full',
  disks: ['system.img', 'data.img'].map((name, index) => ({
    name,
    deviceName: `xvd${'ab'[index]}`,
    size: 2 * MIB,
  })),
}
const SNAPSHOTS = `/api/v1/vms/${VM.id}/snapshots`
const FULL = '507 REPOSITORY_FULL'

/** In which names and data share their space: it is full of both at once. */
const MIXED_BTRFS: StorageKind = { ...storageKind('btrfs'), mkfs: ['mkfs.btrfs', '--quiet', '--mixed'] }

for (const [kind, sizeBytes] of [
  [storageKind('xfs'), 300 * MIB],
  [MIXED_BTRFS, 64 * MIB],
] as const) {
  storageTest(
    kind,
    'a repository without space answers REPOSITORY_FULL, keeps nothing, and is used again when it has some',
    async ({ mount, t }) => {
      await using hooks = await temporaryDirectory('hooks')
      const holds = { before: await hookHold(hooks.path), after: await hookHold(hooks.path, 'after') }
      const extraConfig = `[quiesce]\n${holds.before.config}${holds.after.config}`
      await using lab = await openLab({ mountPoint: mount, extraConfig })
      for (const path of (await lab.addVm(VM)).values()) await new Disk(path).fill(0, MIB, 1)
      const create = () => callAnswer(lab.client, 'POST', SNAPSHOTS)
      const known = async () => [...(await lab.client.vms())[0]!.snapshots].sort()

      {
        await using filling = await fillUp(mount)
        assert.equal(await create(), FULL)
        assert.deepEqual(await leftBehind(mount), [])
        let refused = 0
        for (const file of filling.files) {
          await rm(file)
          const said = await create()
          if (said === '200') break
          assert.equal(said, FULL)
          assert.deepEqual(await leftBehind(mount), [])
          refused++
        }
        t.diagnostic(`refused ${refused} times while there was a little space`)
        assert.equal((await known()).length, 1, 'with enough space it works')
      }

      for (const [when, hold] of Object.entries(holds)) {
        await using held = await hold.next()
        const creating = create()
        await held.reached()
        await using _full = await fillUp(mount)
        await held.release()
        const said = await creating
        t.diagnostic(`filled up by the guest in ${when}: ${said}`)
        // The few bytes of snapshot.json may find a place where there is none for the guest.
        assert.ok(said === FULL || (when === 'after' && said === '200'), said)
        assert.deepEqual(await leftBehind(mount), await known())
      }

      const { id, disks } = await lab.client.createSnapshot(VM.id)
      for (const { path, parent_path } of disks)
        assert.ok((await readFile(path)).equals(await readFile(parent_path)))
      {
        await using _full = await fillUp(mount)
        assert.equal(await callAnswer(lab.client, 'DELETE', `${SNAPSHOTS}/${id}`), '200')
        assert.deepEqual(await leftBehind(mount), await known())
        assert.ok((await known()).length > 0 && !(await known()).includes(id))
      }
      {
        await using _full = await fillUp(mount)
        assert.equal(await callAnswer(lab.client, 'DELETE', SNAPSHOTS), '200')
        assert.deepEqual([await leftBehind(mount), await known()], [[], []])
      }
      assert.equal(await create(), '200')
    },
    { sizeBytes },
  )
}
