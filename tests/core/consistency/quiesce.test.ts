import assert from 'node:assert/strict'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import xfs from '../../../backends/xfs/index.ts'
import { skewOf, stallOf } from '../../../core/consistency/clone-spans.ts'
import { Quiesce } from '../../../core/consistency/quiesce.ts'
import { makeCore, makeDisk, type TestCore } from '../../support/core.ts'
import { type HookProgram, hookProgram } from '../../support/hook-program.ts'
import { SILENT } from '../../support/silent-log.ts'
import { leftBehind } from '../../support/snapshot-folders.ts'
import { type Bench, failsWith, MIB, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

interface HookedBench extends Bench {
  readonly before: HookProgram
  readonly after: HookProgram
}

interface HookedOptions {
  /** Scripts; without one there is no such hook. */
  readonly before?: string
  readonly after?: string
  readonly required?: boolean
  readonly timeoutMs?: number
  readonly backends?: readonly unknown[]
}

/** A core with real hook programs. `$3` of each is the folder of the snapshots. */
function hookedTest(
  sentence: string,
  options: HookedOptions,
  body: (bench: HookedBench) => Promise<void>,
): void {
  snapshotTest(sentence, async (bench) => {
    const { mount, disk, dbFile } = bench
    const folder = join(bench.filesystem.image, '..')
    const before = await hookProgram(folder, 'before', options.before ?? '')
    const after = await hookProgram(folder, 'after', options.after ?? '')
    const argv = (program: HookProgram) => [program.path, '{vm}', '{uuid}', join(mount, 'CoriolisSnapshots')]
    await using core = await makeCore({
      mounts: [mount],
      vms: [{ name: VM, disks: [disk] }],
      dbFile,
      ...(options.backends !== undefined && { backends: options.backends }),
      quiesce: {
        ...(options.before !== undefined && { before: argv(before) }),
        ...(options.after !== undefined && { after: argv(after) }),
        required: options.required ?? false,
        timeoutMs: options.timeoutMs ?? 30_000,
      },
    })
    await body({ ...bench, core, before, after })
  })
}

async function manifest(mount: string, id: string) {
  return JSON.parse(await readFile(join(mount, 'CoriolisSnapshots', id, 'snapshot.json'), 'utf8'))
}

const ASLEEP = 'echo asleep >> "$0.calls"; find "$3" -name disk.img >> "$0.calls"'

hookedTest(
  'the clones are made between the hooks, and the snapshot is quiesced',
  { before: ASLEEP, after: ASLEEP, required: true },
  async ({ core, mount, before, after }) => {
    const snapshot = await core.snapshots.create(VM, WHOLE)
    const call = `<${VM}><0004fb00-0006-0000-0000-000000000001><${mount}/CoriolisSnapshots>`
    assert.deepEqual(await before.calls(), [call, 'asleep'])
    assert.deepEqual(await after.calls(), [call, 'asleep', snapshot.disks[0]!.path])
    assert.equal(snapshot.consistency, 'quiesced')
    assert.equal(snapshot.consistencyReason, null)
    assert.ok(snapshot.stallMs! > 0)
    assert.equal(snapshot.skewMs, 0)
    const { consistency, stallMs, skewMs } = await manifest(mount, snapshot.id)
    assert.deepEqual(
      { consistency, stallMs, skewMs },
      {
        consistency: 'quiesced',
        stallMs: snapshot.stallMs,
        skewMs: 0,
      },
    )
    assert.equal((await core.snapshots.get(VM, snapshot.id, WHOLE)).consistency, 'quiesced')
  },
)

hookedTest(
  'when before fails the snapshot is as after a power cut, says so, and after is run',
  { before: 'echo no agent; exit 1', after: '' },
  async ({ core, mount, after }) => {
    const snapshot = await core.snapshots.create(VM, WHOLE)
    assert.equal(snapshot.consistency, 'crash')
    assert.match(snapshot.consistencyReason!, /quiesce\.before.*exit code 1; it wrote: no agent/)
    assert.equal((await manifest(mount, snapshot.id)).consistency, 'crash')
    assert.equal((await after.calls()).length, 1)
  },
)

hookedTest(
  'when before fails and is required there is no snapshot, and after is run',
  { before: 'echo no agent; exit 1', after: '', required: true },
  async ({ core, mount, after }) => {
    const refused = failsWith(
      'QUIESCE_FAILED',
      /no snapshot of VM vm-1.*quiesce\.required.*it wrote: no agent/,
    )
    await assert.rejects(core.snapshots.create(VM, WHOLE), refused)
    assert.equal((await after.calls()).length, 1)
    assert.deepEqual(await leftBehind(mount), [])
    assert.deepEqual(await core.store.vmIds(), [])
  },
)

test('neither hook is run where the arguments of one are refused, or the guest could not be woken', async () => {
  await using folder = await temporaryDirectory('hooks')
  const called = join(folder.path, 'called')
  const hooks = { before: ['/usr/bin/touch', called], after: ['/usr/bin/touch', called, '{name}'] }
  const subject = { vm: VM, uuid: 'uuid', name: '-renamed' }
  const quiesce = (required: boolean) => new Quiesce({ ...hooks, timeoutMs: 10_000, required }, SILENT)
  const { consistency, consistencyReason, result } = await quiesce(false).around(subject, async () => 'made')
  assert.deepEqual([result, consistency], ['made', 'crash'])
  assert.match(consistencyReason!, /"\{name\}" of a hook would be "-renamed" for VM vm-1/)
  let worked = false
  const work = async () => (worked = true)
  await assert.rejects(quiesce(true).around(subject, work), failsWith('QUIESCE_FAILED', /"-renamed"/))
  assert.equal(worked, false)
  await assert.rejects(access(called))
})

hookedTest(
  'a before that never ends is killed, and after is run',
  { before: 'sleep 600', after: '', required: true, timeoutMs: 1000 },
  async ({ core, after }) => {
    await assert.rejects(core.snapshots.create(VM, WHOLE), failsWith('QUIESCE_FAILED', /after 1000 ms/))
    assert.equal((await after.calls()).length, 1)
  },
)

hookedTest(
  'when after fails the snapshot is kept but not called quiesced',
  { before: '', after: 'echo guest thawed by itself; exit 1' },
  async ({ core }) => {
    const { consistency, consistencyReason } = await core.snapshots.create(VM, WHOLE)
    assert.equal(consistency, 'crash')
    assert.match(consistencyReason!, /quiesce\.after.*thawed by itself/)
  },
)

hookedTest(
  'after is run when the client goes away while before runs, and nothing is left',
  { before: 'sleep 600', after: '' },
  async ({ core, mount, before, after }) => {
    const controller = new AbortController()
    const creating = core.snapshots.create(VM, WHOLE, controller.signal)
    await before.called(1)
    controller.abort()
    await assert.rejects(creating, failsWith('ABORTED'))
    assert.equal((await after.calls()).length, 1)
    assert.deepEqual(await leftBehind(mount), [])
  },
)

const real = xfs()
const failing = {
  manifest: real.manifest,
  checkCompatibility: real.checkCompatibility.bind(real),
  extentMap: real.extentMap.bind(real),
  diff: real.diff.bind(real),
  clone: async () => {
    throw new Error('the disk is on fire')
  },
}

hookedTest(
  'after is run when a clone fails',
  { before: '', after: '', backends: [failing] },
  async ({ core, mount, after }) => {
    await assert.rejects(core.snapshots.create(VM, WHOLE), failsWith('CLONE_FAILED', /on fire/))
    assert.equal((await after.calls()).length, 1)
    assert.deepEqual(await leftBehind(mount), [])
  },
)

hookedTest(
  'a start runs after, once, for a snapshot that a killed program was in the middle of',
  { before: '', after: '' },
  async ({ core, after }) => {
    const whole = await core.snapshots.create(VM, WHOLE)
    const left = await core.snapshots.create(VM, WHOLE)
    await markCreating(core, left.id)
    assert.equal((await after.calls()).length, 2)
    await core.journal.recoverAll()
    assert.equal((await after.calls()).length, 3)
    assert.deepEqual((await core.vms.get(VM)).snapshotIds, [whole.id])
    await core.journal.recoverAll()
    assert.equal((await after.calls()).length, 3)
  },
)

async function markCreating(core: TestCore, id: string): Promise<void> {
  const record = await core.store.read(VM)
  const snapshots = record.snapshots.map((snapshot) =>
    snapshot.id === id ? { ...snapshot, state: 'creating' as const } : snapshot,
  )
  await core.store.write({ ...record, snapshots })
}

snapshotTest(
  'the clones of all disks are under way at once, and stall and skew span them',
  async ({ mount, dbFile, disk }) => {
    const disks = [disk]
    for (let index = 1; index < 6; index++) disks.push(await makeDisk(mount, `disk-${index}.img`, MIB))
    let under = 0
    let allUnder: () => void
    const together = new Promise<void>((resolve) => {
      allUnder = resolve
    })
    const waiting = {
      ...failing,
      // Ends only when the clones of all the others have begun as well.
      async clone(source: string, target: string, signal?: AbortSignal) {
        if (target.includes('.trial-') || target.includes('.diskferry-trial-'))
          return real.clone(source, target)
        if (++under === disks.length) allUnder()
        await together
        await real.clone(source, target, signal)
      },
    }
    await using core = await makeCore({
      mounts: [mount],
      vms: [{ name: VM, disks }],
      dbFile,
      backends: [waiting],
    })
    const snapshot = await core.snapshots.create(VM, WHOLE)
    assert.equal(snapshot.consistency, 'crash')
    assert.equal(snapshot.consistencyReason, null)
    assert.ok(snapshot.skewMs! > 0)
    assert.ok(snapshot.stallMs! >= snapshot.skewMs!)
  },
)

snapshotTest('a record from before consistency was measured is shown as crash', async ({ core }) => {
  const { id } = await core.snapshots.create(VM, WHOLE)
  const record = await core.store.read(VM)
  const snapshots = record.snapshots.map(
    ({ consistency: _, consistencyReason: _r, stallMs: _s, skewMs: _k, ...old }) => old,
  )
  await core.store.write({ ...record, snapshots })
  const { consistency, consistencyReason, stallMs, skewMs } = await core.snapshots.get(VM, id, WHOLE)
  assert.deepEqual([consistency, consistencyReason, stallMs, skewMs], ['crash', null, null, null])
})

test('stall spans all clones; skew is the most that two moments can lie apart', () => {
  const span = (beganMs: number, endedMs: number) => ({ beganMs, endedMs })
  assert.deepEqual([stallOf([]), skewOf([])], [0, 0])
  assert.deepEqual([stallOf([span(5, 9)]), skewOf([span(5, 9)])], [4, 0])
  assert.deepEqual([stallOf([span(0, 4), span(1, 3)]), skewOf([span(0, 4), span(1, 3)])], [4, 3])
  assert.deepEqual([stallOf([span(0, 2), span(10, 12)]), skewOf([span(0, 2), span(10, 12)])], [12, 12])
})
