import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import xfs from '../../../backends/xfs/index.ts'
import type { StorageBackend } from '../../../core/index.ts'
import { makeCore, makeDisk, type TestCore } from '../../support/core.ts'
import { type HookProgram, hookProgram } from '../../support/hook-program.ts'
import { leftBehind } from '../../support/snapshot-folders.ts'
import { failsWith, MIB, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'

const real = xfs()

/** A VM of `disk.img` and `two.img`, and hooks; `cloning` is awaited before each clone. */
function twoDisksTest(
  sentence: string,
  cloning: (disk: string, after: HookProgram) => Promise<void>,
  body: (bench: { core: TestCore; mount: string; after: HookProgram }) => Promise<void>,
  script = '',
): void {
  snapshotTest(sentence, async ({ mount, disk, dbFile }) => {
    const after = await hookProgram(join(dbFile, '..'), 'after', script)
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

/** Breaks off what is under way, as a client that goes away does. */
let client = new AbortController()

twoDisksTest(
  'after is run once when the client goes away between two clones, and nothing is left',
  async (disk) => {
    if (disk !== 'two.img') return
    // Time for the other clone to end.
    await delay(200)
    client.abort()
  },
  async ({ core, mount, after }) => {
    client = new AbortController()
    await assert.rejects(core.snapshots.create(VM, WHOLE, client.signal), failsWith('ABORTED'))
    assert.equal((await after.calls()).length, 1)
    assert.deepEqual(await leftBehind(mount), [])
    assert.deepEqual((await core.store.read(VM)).snapshots, [])
  },
)

twoDisksTest(
  'after is not killed when the client goes away while it runs, and nothing is left',
  async () => undefined,
  async ({ core, mount, after }) => {
    client = new AbortController()
    const creating = core.snapshots.create(VM, WHOLE, client.signal)
    await after.called(1)
    client.abort()
    await assert.rejects(creating, { name: 'AbortError' })
    assert.deepEqual(await after.calls(), ['', 'awake'])
    assert.deepEqual(await leftBehind(mount), [])
    assert.deepEqual((await core.store.read(VM)).snapshots, [])
  },
  'sleep 1; echo awake >> "$0.calls"',
)
