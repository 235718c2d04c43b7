import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import xfs from '../../../backends/xfs/index.ts'
import { shownPath } from '../../../core/index.ts'
import type { SnapshotMap } from '../../../core/services.ts'
import { type AuditBench, auditTest, BLOCK, changedPair, pulled, SIZE } from '../../support/audit-test.ts'
import { makeCore, makeDisk, writeAt } from '../../support/core.ts'
import { lyingBackend } from '../../support/lying-backend.ts'
import { failsWith, MIB, VM, WHOLE } from '../../support/snapshot-test.ts'

auditTest('an honest difference passes, and is believed as before', async (bench) => {
  const { core, audit } = bench
  const { base, target } = await changedPair(bench)
  const result = await audit(target, { compareTo: base.id })
  assert.equal(result.state, 'passed', JSON.stringify(result))
  // Two blocks of data are fetched anyway; the holes are read like the rest.
  assert.equal(result.blocks, SIZE / BLOCK - 2)
  assert.equal(result.blocksRead, result.blocks)
  assert.equal(result.unnoticedBytes, 0)
  const { disks } = await core.snapshots.get(VM, target.id, { squash: true, compareTo: base.id })
  assert.equal(disks[0]!.diff?.method, 'physical')
  assert.match(await core.metrics.render(), /^diskferry_audits_finished_total\{state="passed"\} 1$/m)
})

for (const [what, lies, at] of [
  ['a hidden write', { hides: [{ start: 2 * MIB, length: BLOCK }] }, 2 * MIB],
  ['a hidden write into what was a hole', { hides: [{ start: 10 * MIB, length: BLOCK }] }, 10 * MIB],
  ['data that is called zero', { zeroes: [{ start: 2 * MIB, length: BLOCK }] }, 2 * MIB],
] as const) {
  auditTest(`${what} is found, and from then on the pair is compared by content`, async (bench) => {
    const { core, lie, audit, logged, options } = bench
    const { base, target } = await changedPair(bench)
    lie(lies)
    const right = await readFile(target.disks[0]!.path)
    assert.ok(!(await pulled(core, base, target)).equals(right), 'the lie makes an incremental wrong')

    const result = await audit(target, { compareTo: base.id })
    assert.equal(result.state, 'mismatch', JSON.stringify(result))
    assert.equal(result.mismatchBytes, BLOCK)
    const { path } = target.disks[0]!
    const told = 'zeroes' in lies ? 'zero' : 'unchanged'
    assert.deepEqual(result.mismatches, [
      { disk: 'disk.img', path, start: at, length: BLOCK, told, backend: 'xfs' },
    ])
    const line = logged.find(({ message }) => message.includes('is wrong'))!
    for (const part of [VM, 'disk.img', path, String(at)])
      assert.ok(line.message.includes(part), line.message)
    const metrics = await core.metrics.render()
    assert.match(metrics, /^diskferry_audit_mismatches_total 1$/m)
    assert.match(metrics, /^diskferry_distrusted_pairs 1$/m)

    assert.ok((await pulled(core, base, target)).equals(right))
    await core[Symbol.asyncDispose]()
    await using next = await makeCore(options)
    assert.ok((await pulled(next, base, target)).equals(right), 'after a restart')
    const { disks } = await next.snapshots.get(VM, target.id, { squash: true, compareTo: base.id })
    assert.equal(disks[0]!.diff?.method, 'content')
    assert.match(disks[0]!.diff?.fallbackReason ?? '', /an audit found .*disk\.img at/)
    assert.match(await next.metrics.render(), /^diskferry_distrusted_pairs 1$/m)
  })
}

auditTest('a change that both maps hide as a hole is found: no map is believed', async (bench) => {
  const { disk, options, core } = bench
  const base = await core.snapshots.create(VM, WHOLE)
  await writeAt(disk, 12 * MIB, Buffer.alloc(BLOCK, 7))
  const target = await core.snapshots.create(VM, WHOLE)
  await core[Symbol.asyncDispose]()
  const honest = xfs()
  const blind = {
    ...lyingBackend(honest, () => ({ hides: [{ start: 12 * MIB, length: BLOCK }] })),
    async *extentMap(file: string, signal?: AbortSignal) {
      for await (const batch of honest.extentMap(file, signal)) {
        yield batch.filter(({ start }) => start < 12 * MIB)
      }
    },
  }
  await using next = await makeCore({ ...options, backends: [blind] })
  await next.audits.start(VM, target.id, { compareTo: base.id })
  await next.audits.ended(VM, target.id)
  assert.equal((await next.audits.get(VM, target.id)).state, 'mismatch')
  const right = await readFile(target.disks[0]!.path)
  assert.ok((await pulled(next, base, target)).equals(right))
})

auditTest(
  'a sample with a fixed seed reads the same blocks again, and says how sure it is',
  async (bench) => {
    const { core, lie, audit } = bench
    const { base, target } = await changedPair(bench)
    const options = { compareTo: base.id, sample: 1000, seed: 42 }
    const passed = await audit(target, options)
    assert.equal(passed.state, 'passed')
    assert.deepEqual([passed.blocks, passed.blocksRead, passed.seed], [4094, 1024, 42])
    // ln(0.05) / ln(1 - 1/4) = 10.4: eleven different blocks would be missed in fewer than 5 of 100 samples.
    assert.equal(passed.unnoticedBytes, 10 * BLOCK)

    lie({ hides: [{ start: 0, length: SIZE }] })
    const states: string[] = []
    for (let seed = 0; seed < 8; seed++) {
      states.push((await audit(target, { ...options, sample: 300, seed })).state)
    }
    assert.ok(states.includes('passed') && states.includes('mismatch'), states.join(' '))
    const seed = states.indexOf('mismatch')
    const first = await audit(target, { ...options, sample: 300, seed })
    assert.deepEqual((await audit(target, { ...options, sample: 300, seed })).mismatches, first.mismatches)
    assert.equal(
      (await core.snapshots.get(VM, target.id, { squash: true, compareTo: base.id })).disks[0]!.diff?.method,
      'content',
    )
  },
)

auditTest(
  'a disk that the older snapshot lacks is held against zeros',
  async ({ mount, core, disk, options }) => {
    const base = await core.snapshots.create(VM, WHOLE)
    await core[Symbol.asyncDispose]()
    const added = await makeDisk(mount, 'added.img', SIZE, [[4 * MIB, Buffer.alloc(BLOCK, 5)]])
    const honest = xfs()
    const blind = {
      ...lyingBackend(honest, () => ({})),
      async *extentMap(file: string, signal?: AbortSignal) {
        if (!shownPath(file).endsWith('added.img')) yield* honest.extentMap(file, signal)
      },
    }
    await using next = await makeCore({
      ...options,
      vms: [{ name: VM, disks: [disk, added] }],
      backends: [blind],
    })
    const target = await next.snapshots.create(VM, WHOLE)
    await next.audits.start(VM, target.id, { compareTo: base.id })
    await next.audits.ended(VM, target.id)
    const { state, mismatches } = await next.audits.get(VM, target.id)
    assert.equal(state, 'mismatch')
    assert.deepEqual([mismatches[0]?.disk, mismatches[0]?.start], ['added.img', 4 * MIB])
    const { disks } = await next.snapshots.get(VM, target.id, { squash: true, compareTo: base.id })
    const chunks = [...disks.find(({ name }) => name === 'added.img')!.chunks]
    assert.deepEqual(chunks, [{ start: 4 * MIB, length: BLOCK, physicalStart: 0, zero: false }])
  },
)

auditTest('one audit at a time for each VM, also across processes, and it can be ended', async (bench) => {
  const { core, options } = bench
  const { base, target } = await changedPair(bench)
  const slow = { compareTo: base.id, rate: 65_536 }
  const started = await core.audits.start(VM, target.id, slow)
  assert.deepEqual([started.state, started.rate], ['running', 65_536])
  await assert.rejects(core.audits.start(VM, target.id, slow), failsWith('AUDIT_RUNNING', /already/))
  await using other = await makeCore(options)
  await assert.rejects(other.audits.start(VM, target.id, slow), failsWith('AUDIT_RUNNING', /another process/))
  await assert.rejects(other.audits.abort(VM, target.id), failsWith('AUDIT_RUNNING', /in process \d+/))
  assert.equal((await other.audits.get(VM, target.id)).state, 'running')
  const ended = await core.audits.abort(VM, target.id)
  assert.deepEqual([ended.state, ended.reason], ['aborted', 'it was aborted on request'])
  assert.deepEqual(await core.audits.abort(VM, target.id), ended)
  assert.equal((await other.audits.get(VM, target.id)).state, 'aborted')
})

auditTest(
  'no more audits run at a time than are allowed, each VM has one',
  async ({ core, options, disk }) => {
    await core[Symbol.asyncDispose]()
    const vms = ['a', 'b'].map((name) => ({ name, disks: [disk] }))
    await using next = await makeCore({ ...options, vms, auditLimits: { concurrent: 1 } })
    const pairs = new Map<string, [string, string]>()
    for (const { name } of vms) {
      pairs.set(name, [
        (await next.snapshots.create(name, WHOLE)).id,
        (await next.snapshots.create(name, WHOLE)).id,
      ])
    }
    const begin = (name: string) => {
      const [base, target] = pairs.get(name)!
      return next.audits.start(name, target, { compareTo: base, rate: 65_536 })
    }
    await begin('a')
    await assert.rejects(begin('b'), failsWith('AUDIT_LIMIT'))
    await next.audits.abort('a', pairs.get('a')![1])
    await begin('b')
  },
)

auditTest('no client is given a higher rate than audit.rate', async (bench) => {
  const { core, options } = bench
  const { base, target } = await changedPair(bench)
  await core[Symbol.asyncDispose]()
  await using next = await makeCore({ ...options, auditLimits: { rate: 65_536 } })
  for (const [asked, given] of [
    [{}, 65_536],
    [{ rate: 2 ** 30 }, 65_536],
    [{ rate: 65_535 }, 65_535],
  ] as const) {
    const { rate } = await next.audits.start(VM, target.id, { compareTo: base.id, ...asked })
    assert.equal(rate, given)
    await next.audits.abort(VM, target.id)
  }
})

auditTest('a snapshot that is deleted ends its audit', async (bench) => {
  const { core } = bench
  const { base, target } = await changedPair(bench)
  await core.audits.start(VM, target.id, { compareTo: base.id, rate: 65_536 })
  await core.snapshots.delete(VM, base.id)
  await core.audits.ended(VM, target.id)
  const { state, reason } = await core.audits.get(VM, target.id)
  assert.deepEqual([state, reason], ['snapshot-deleted', `snapshot ${base.id} was deleted meanwhile`])
})

auditTest('a shutdown ends audits, and what a killed program left is not called running', async (bench) => {
  const { core, options } = bench
  const { base, target } = await changedPair(bench)
  await core.audits.start(VM, target.id, { compareTo: base.id, rate: 65_536 })
  await core[Symbol.asyncDispose]()
  await using next = await makeCore(options)
  const stopped = await next.audits.get(VM, target.id)
  assert.deepEqual([stopped.state, stopped.reason], ['aborted', 'the program is being stopped'])
  await next.auditStore.keep({ ...stopped, state: 'running', reason: null, finishedAt: null })
  const { state, reason } = await next.audits.get(VM, target.id)
  assert.equal(state, 'aborted')
  assert.match(reason ?? '', /ended unexpectedly/)
})

auditTest('what is known goes with the snapshots, and unknown audits are not found', async (bench) => {
  const { core, lie, audit } = bench
  const { base, target } = await changedPair(bench)
  lie({ hides: [{ start: 0, length: SIZE }] })
  await assert.rejects(core.audits.get(VM, target.id), failsWith('AUDIT_NOT_FOUND'))
  await assert.rejects(core.audits.abort(VM, 'x'), failsWith('AUDIT_NOT_FOUND'))
  await assert.rejects(
    core.audits.start(VM, base.id, { compareTo: target.id }),
    failsWith('COMPARE_NOT_OLDER'),
  )
  assert.equal((await audit(target, { compareTo: base.id })).state, 'mismatch')
  const later = await core.snapshots.create(VM, WHOLE)
  await core.snapshots.delete(VM, base.id)
  lie({})
  assert.equal((await audit(later, { compareTo: target.id })).state, 'passed')
  assert.deepEqual((await core.auditStore.read(VM)).distrusted, [])
})

for (const [how, remove] of [
  ['its older snapshot is deleted', ({ core }, base) => core.snapshots.delete(VM, base.id)],
  ['its newer snapshot is deleted', ({ core }, _base, target) => core.snapshots.delete(VM, target.id)],
  ['the VM is purged', ({ core }) => core.snapshots.purge(VM)],
] as const satisfies [
  string,
  (bench: AuditBench, base: SnapshotMap, target: SnapshotMap) => Promise<void>,
][]) {
  auditTest(`a pair alarms no longer when ${how}, and another pair goes on`, async (bench) => {
    const { core, lie, audit } = bench
    const distrusted = async () =>
      /^diskferry_distrusted_pairs (\d+)$/m.exec(await core.metrics.render())?.[1]
    const { base, target } = await changedPair(bench)
    const later = await core.snapshots.create(VM, WHOLE)
    const last = await core.snapshots.create(VM, WHOLE)
    lie({ hides: [{ start: 0, length: SIZE }] })
    assert.equal((await audit(target, { compareTo: base.id })).state, 'mismatch')
    await core.auditStore.distrust(VM, { compareTo: later.id, snapshotId: last.id, reason: 'for the test' })
    assert.equal(await distrusted(), '2')
    await remove(bench, base, target)
    assert.equal(await distrusted(), how === 'the VM is purged' ? '0' : '1')
  })
}

auditTest('a rate is kept to', async (bench) => {
  const { core, audit } = bench
  const { base, target } = await changedPair(bench)
  const began = performance.now()
  const { state, blocksRead } = await audit(target, { compareTo: base.id, rate: 32 * MIB })
  assert.equal(state, 'passed')
  const seconds = (performance.now() - began) / 1000
  const read = 2 * blocksRead * BLOCK
  // The first piece is not waited for.
  assert.ok(read / seconds < 36 * MIB, `${read} bytes in ${seconds} s`)
  assert.match(await core.metrics.render(), new RegExp(`^diskferry_audit_read_bytes_total ${read}$`, 'm'))
})
