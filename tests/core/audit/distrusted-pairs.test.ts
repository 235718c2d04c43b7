/** A pair that an audit found wrong is marked beside the newer snapshot, and the mark is enough. */

import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { it } from 'node:test'
import type { SnapshotMap } from '../../../core/services.ts'
import { diskNames } from '../../../core/vms/disk-names.ts'
import { type AuditBench, auditTest, changedPair, pulled, SIZE } from '../../support/audit-test.ts'
import { VM, WHOLE } from '../../support/snapshot-test.ts'

const EVERYTHING = { hides: [{ start: 0, length: SIZE }] }

/** Two snapshots of which an audit has found the difference wrong, and a third one; the mark of the pair. */
async function distrustedPair(bench: AuditBench) {
  const { core, lie, audit } = bench
  const { base, target } = await changedPair(bench)
  const later = await core.snapshots.create(VM, WHOLE)
  lie(EVERYTHING)
  assert.equal((await audit(target, { compareTo: base.id })).state, 'mismatch')
  const folder = dirname(target.disks[0]!.path)
  return { base, target, later, folder, mark: join(folder, `snapshot.distrusted.${base.id}.json`) }
}

async function methodOf({ core }: AuditBench, target: SnapshotMap, base: SnapshotMap) {
  const { disks } = await core.snapshots.get(VM, target.id, { squash: true, compareTo: base.id })
  return disks[0]!.diff!
}

/** What a database says that was restored from a copy of before the audit. */
function forgetAudits({ core }: AuditBench): Promise<void> {
  return core.auditStore.settle(VM, new Set())
}

auditTest('a pair is distrusted by its mark, whatever became of what is in it', async (bench) => {
  const { core } = bench
  const { base, target, later, folder, mark } = await distrustedPair(bench)
  const text = await readFile(mark, 'utf8')
  assert.match(text, /"reason": "an audit found that the difference by the backend xfs was wrong/)
  assert.deepEqual(await readdir(dirname(later.disks[0]!.path)), ['disk.img', 'snapshot.json'])
  await forgetAudits(bench)
  for (const damage of [
    async () => undefined,
    () => truncate(mark, 0),
    () => writeFile(mark, Buffer.alloc(1 << 20, '[')),
    () => rm(mark).then(() => symlink('/nowhere', mark)),
    () => rm(mark).then(() => mkdir(mark)),
  ]) {
    await damage()
    const { method, fallbackReason } = await methodOf(bench, target, base)
    assert.equal(method, 'content')
    assert.match(fallbackReason ?? '', /^an audit found .*, as a mark beside the snapshot says/)
  }
  assert.ok((await pulled(core, base, target)).equals(await readFile(target.disks[0]!.path)))
  for (const [newer, older] of [
    [later, base],
    [later, target],
  ] as const) {
    assert.equal((await methodOf(bench, newer, older)).method, 'physical')
  }
  await core.snapshots.delete(VM, target.id)
  await assert.rejects(readdir(folder), /ENOENT/)
})

auditTest('a snapshot that is adopted brings its marks along', async (bench) => {
  const { core } = bench
  const { base, target, mark } = await distrustedPair(bench)
  const before = await core.store.read(VM)
  for (const plain of [false, true]) {
    await forgetAudits(bench)
    await core.store.write({ ...before, snapshots: before.snapshots.filter(({ id }) => id !== target.id) })
    if (plain) await rm(join(dirname(mark), 'snapshot.json'))
    await core.orphans.adopt(target.id, VM)
    assert.equal((await methodOf(bench, target, base)).method, 'content')
  }
})

auditTest('a mark that can not be written is told, and the database distrusts the pair', async (bench) => {
  const { core, lie, audit, filesystem, logged } = bench
  const { base, target } = await changedPair(bench)
  lie(EVERYTHING)
  await filesystem.remountReadOnly()
  assert.equal((await audit(target, { compareTo: base.id })).state, 'mismatch')
  assert.match(logged[0]?.message ?? '', /could not be marked beside the snapshot/)
  assert.equal((await methodOf(bench, target, base)).method, 'content')
  await filesystem.remountWritable()
  await forgetAudits(bench)
  assert.equal((await methodOf(bench, target, base)).method, 'physical')
  await core.snapshots.delete(VM, target.id)
})

it('no disk is called like a mark', () => {
  const path = '/r/snapshot.distrusted.381ba26b-4a62-4baf-a450-af120ceddcbf.json'
  const [name] = diskNames([{ scheme: 'file', path, deviceName: 'xvda', mode: 'w', cdrom: false }])
  assert.equal(name, 'xvda-snapshot.distrusted.381ba26b-4a62-4baf-a450-af120ceddcbf.json')
})
