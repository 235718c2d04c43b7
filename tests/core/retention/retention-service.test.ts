import assert from 'node:assert/strict'
import { rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ClockReading } from '../../../core/leases/lease-clock.ts'
import type { Log } from '../../../core/log.ts'
import { expiredSnapshots } from '../../../core/retention/retention-policy.ts'
import type { RetentionOptions } from '../../../core/retention/retention-service.ts'
import { makeCore, type TestCore } from '../../support/core.ts'
import { snapshotFolders } from '../../support/snapshot-folders.ts'
import { type Bench, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'

const HOUR = 3_600_000

interface Line {
  readonly message: string
  readonly audit?: string
  readonly outcome?: string
  readonly code?: string
  readonly user?: string | null
  readonly snapshot?: string
  readonly reason?: string
  readonly err?: { readonly code?: string }
}

interface RetentionBench extends Bench {
  readonly lines: readonly Line[]
  /** Lets time pass on one of the clocks, or on both. */
  readonly pass: (ms: number, clock?: 'wall') => void
}

function retentionTest(
  sentence: string,
  retention: Partial<RetentionOptions>,
  body: (bench: RetentionBench) => Promise<void>,
): void {
  snapshotTest(sentence, async (bench) => {
    const lines: Line[] = []
    const note = (fields: object, message: string) => void lines.push({ ...fields, message })
    const log: Log = { info: note, warn: note, error: note }
    let reading: ClockReading = { wallMs: Date.now(), bootId: 'boot', bootMs: 0 }
    const { mount, dbFile, disk } = bench
    await using core = await makeCore({
      mounts: [mount],
      vms: [{ name: VM, disks: [disk] }],
      dbFile,
      log,
      clock: () => reading,
      retention,
    })
    const pass = (ms: number, clock?: 'wall') => {
      const bootMs = clock === 'wall' ? reading.bootMs : reading.bootMs + ms
      reading = { ...reading, wallMs: reading.wallMs + ms, bootMs }
    }
    await body({ ...bench, core, lines, pass })
  })
}

async function take(core: TestCore, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let index = 0; index < count; index++) ids.push((await core.snapshots.create(VM, WHOLE)).id)
  return ids
}

retentionTest(
  'after a create only the last ones and the leased one are kept, and the log says why',
  { keepLast: 2 },
  async ({ core, mount, lines, pass }) => {
    const [first] = await take(core, 1)
    await core.leases.take(VM, first!, { holder: 'chain', ttlMs: HOUR })
    const [second, third, fourth] = await take(core, 3)
    await core.retention.idle()
    assert.deepEqual(await snapshotFolders(mount), [first, third, fourth].sort())
    assert.deepEqual((await core.vms.get(VM)).snapshotIds, [first, third, fourth])
    const deleted = lines.filter(({ audit }) => audit === 'snapshot.retention')
    assert.deepEqual(
      deleted.map(({ outcome, user, snapshot, reason }) => [outcome, user, snapshot, reason]),
      [['ok', null, second, '2 are newer, and retention.keep_last is 2']],
    )
    assert.ok(lines.some(({ message, snapshot }) => message.includes('keeps a leased') && snapshot === first))
    pass(HOUR)
    core.retention.soon(VM)
    await core.retention.idle()
    assert.deepEqual(await snapshotFolders(mount), [third, fourth].sort())
  },
)

retentionTest(
  'what is too old goes, the newest never, and a clock that is set forward makes nothing old',
  { maxAgeMs: HOUR },
  async ({ core, pass }) => {
    const ids = await take(core, 3)
    const after = async () => {
      core.retention.soon(VM)
      await core.retention.idle()
      return (await core.vms.get(VM)).snapshotIds
    }
    pass(365 * 24 * HOUR, 'wall')
    assert.deepEqual(await after(), ids)
    pass(-365 * 24 * HOUR, 'wall')
    pass(2 * HOUR)
    assert.deepEqual(await after(), [ids[2]])
  },
)

retentionTest(
  'a round looks at every VM, and goes on after one that fails',
  { keepLast: 1, intervalMs: 20 },
  async ({ core, mount, filesystem, lines }) => {
    const [first, second] = await take(core, 2)
    await core.retention.idle()
    assert.deepEqual(await snapshotFolders(mount), [second])
    const record = await core.store.read(VM)
    await core.store.write({
      ...record,
      snapshots: [{ ...record.snapshots[0]!, id: first! }, ...record.snapshots],
    })
    await filesystem.remountReadOnly()
    core.retention.soon(VM)
    await core.retention.idle()
    assert.equal((await core.vms.get(VM)).snapshotIds.length, 2)
    assert.ok(lines.some(({ message }) => message.includes('tried again at the next round')))
    const failed = lines.find(({ outcome }) => outcome === 'failed')
    assert.deepEqual(
      [failed?.audit, failed?.snapshot, failed?.code],
      ['snapshot.retention', first, 'REPOSITORY_READ_ONLY'],
    )
    await filesystem.remountWritable()
    core.retention.start()
    for (let tries = 0; tries < 200; tries++) {
      await core.retention.idle()
      if ((await core.vms.get(VM)).snapshotIds.length === 1) break
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.deepEqual((await core.vms.get(VM)).snapshotIds, [second])
  },
)

retentionTest(
  'nothing goes while what is to stay is damaged, and all that is due when there is a whole one again',
  { keepLast: 1 },
  async ({ core, mount, lines, pass }) => {
    const [first] = await take(core, 1)
    await core.leases.take(VM, first!, { holder: 'chain', ttlMs: HOUR })
    const [newest] = await take(core, 1)
    await core.retention.idle()
    await truncate(join(mount, 'CoriolisSnapshots', newest!, 'disk.img'), 4096)
    pass(HOUR)
    core.retention.soon(VM)
    await core.retention.idle()
    assert.deepEqual(await snapshotFolders(mount), [first, newest].sort())
    const warnings = lines.filter(({ message }) => message.includes('known to be whole'))
    assert.deepEqual(
      warnings.map(({ snapshot, err }) => [snapshot, err?.code]),
      [[newest, 'SNAPSHOT_DAMAGED']],
    )
    const [last] = await take(core, 1)
    await core.retention.idle()
    assert.deepEqual(await snapshotFolders(mount), [last])
  },
)

retentionTest('without a policy nothing goes', {}, async ({ core, mount }) => {
  const ids = await take(core, 3)
  core.retention.start()
  core.retention.soon(VM)
  await core.retention.idle()
  assert.deepEqual(await snapshotFolders(mount), ids.sort())
})

retentionTest(
  'a stop ends it before the next deletion, and two servers do not get into each other’s way',
  { keepLast: 1 },
  async ({ core, mount, dbFile, disk }) => {
    const ids = await take(core, 3)
    await using other = await makeCore({
      mounts: [mount],
      vms: [{ name: VM, disks: [disk] }],
      dbFile,
      retention: { keepLast: 1 },
    })
    for (const each of [core, other]) each.retention.soon(VM)
    await Promise.all([core.retention.idle(), other.retention.idle()])
    assert.deepEqual(await snapshotFolders(mount), [ids[2]])
    await rm(join(mount, 'CoriolisSnapshots', ids[2]!), { recursive: true })
    await core.retention.stop()
    await core.snapshots.create(VM, WHOLE)
    await core.retention.idle()
    assert.equal((await core.vms.get(VM)).snapshotIds.length, 2)
  },
)

test('the policy gives up what is beyond the number or the age, oldest first', () => {
  const now = Date.parse('2024-03-01T00:00:00Z')
  const snapshots = [50, 26, 25, 1].map((hours) => ({
    id: `${hours}h`,
    createdAt: new Date(now - hours * HOUR).toISOString(),
  }))
  const ids = (policy: Parameters<typeof expiredSnapshots>[1], known = snapshots) =>
    expiredSnapshots(known, policy, now).map(({ id }) => id)
  assert.deepEqual(ids({}), [])
  assert.deepEqual(ids({ keepLast: 3 }), ['50h'])
  assert.deepEqual(ids({ keepLast: 1 }), ['50h', '26h', '25h'])
  assert.deepEqual(ids({ maxAgeMs: 25 * HOUR }), ['50h', '26h'])
  assert.deepEqual(ids({ keepLast: 3, maxAgeMs: 40 * HOUR }), ['50h'])
  assert.deepEqual(ids({ maxAgeMs: 1 }), ['50h', '26h', '25h'])
  assert.deepEqual(ids({ keepLast: 1 }, []), [])
  assert.deepEqual(ids({ maxAgeMs: 1 }, snapshots.slice(0, 1)), [])
})
