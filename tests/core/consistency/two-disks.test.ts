import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import xfs from '../../../backends/xfs/index.ts'
import type { StorageBackend } from '../../../core/index.ts'
import { makeCore, makeDisk, type TestCore } from '../../support/core.ts'
import { type HookProgram, hookProgram } from '../../support/hook-program.ts'
import { failsWith, leftBehind, MIB, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'

const real = xfs()

/** A VM of `disk.img` and `two.img`, and hooks; `cloning` is awaited before each clone. */
function twoDisksTest(
  sentence: string,
  cloning: (disk: string, after: HookProgram) => Promise<void>,
  body: (bench: { core: TestCore; mount: string; after: HookProgram }) => Promise<void>,
): void {
  snapshotTest(sentence, async ({ mount, disk, dbFile }) => {
    const after = await hookProgram(join(dbFile, '..'), 'after', '')
    const backend: StorageBackend = {
      manifest: real.manifest,
      checkCompatibility: real.checkCompatibility.bind(real),
      extentMap: real.extentMap.bind(real),
      diff: real.diff.bind(real),
      async clone(source, target, signal) {
        await cloning(target.slice(target.lastIndexOf('/') + 1), after)
        await real.clone(source, target, signal)
      },
    }
    const two = await makeDisk(mount, 'two.img', 8 * MIB, [[0, Buffer.alloc(MIB, 2)]])
    await using core = await makeCore({
      mounts: [mount],
      vms: [{ name: VM, disks: [disk, two] }],
      dbFile,
      backends: [backend],
      quiesce: { after: [after.path] },
    })
    await body({ core, mount, after })
  })
}

twoDisksTest(
  'a clone that takes long is in the stall and the skew, and snapshot.json says the same',
  async (disk) => {
    if (disk === 'two.img') await delay(310)
  },
  async ({ core, mount }) => {
    const began = performance.now()
    const { id, stallMs, skewMs } = await core.snapshots.create(VM, WHOLE)
    const took = performance.now() - began
    assert.ok(stallMs! >= 300 && stallMs! < took, `${stallMs} of ${took}`)
    assert.ok(skewMs! >= 300 && skewMs! <= stallMs!, `${skewMs} of ${stallMs}`)
    const manifest = JSON.parse(await readFile(join(mount, 'CoriolisSnapshots', id, 'snapshot.json'), 'utf8'))
    assert.deepEqual([manifest.stallMs, manifest.skewMs], [stallMs, skewMs])
  },
)

twoDisksTest(
  'when one clone fails the guest goes on at once, and the files go when the other clone has ended',
  async (disk, after) => {
    if (disk === 'disk.img') throw new Error('the disk is on fire')
    if (disk === 'two.img') await after.called(1)
  },
  async ({ core, mount, after }) => {
    await assert.rejects(core.snapshots.create(VM, WHOLE), failsWith('CLONE_FAILED', /on fire/))
    assert.equal((await after.calls()).length, 1)
    assert.deepEqual(await leftBehind(mount), [])
    assert.deepEqual((await core.store.read(VM)).snapshots, [])
  },
)
