/** Leases that the record does not know of: another host, or a later state of this one, has written them beside the snapshot. */

import assert from 'node:assert/strict'
import { rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { ClockReading } from '../../../core/leases/lease-clock.ts'
import type { RetentionOptions } from '../../../core/retention/retention-service.ts'
import { makeCore, type TestCore } from '../../support/core.ts'
import { deferred } from '../../support/deferred.ts'
import { openedHere } from '../../support/lock-users.ts'
import { snapshotFolders } from '../../support/snapshot-folders.ts'
import { type Bench, failsWith, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'

const HOUR = 3_600_000
const REQUEST = { holder: 'chain', ttlMs: 24 * HOUR }

interface Hosts extends Bench {
  readonly core: TestCore
  /** With a database of its own. */
  readonly other: TestCore
  readonly pass: (ms: number) => void
}

function hostsTest(
  sentence: string,
  body: (hosts: Hosts) => Promise<void>,
  retention: Partial<RetentionOptions> = {},
): void {
  snapshotTest(sentence, async (bench) => {
    const { mount, dbFile, disk } = bench
    let reading: ClockReading = { wallMs: Date.now(), bootId: 'boot', bootMs: 0 }
    const common = { mounts: [mount], vms: [{ name: VM, disks: [disk] }], clock: () => reading }
    await using core = await makeCore({ ...common, dbFile })
    await using other = await makeCore({ ...common, dbFile: `${dbFile}-of-another-host`, retention })
    const pass = (ms: number) => {
      reading = { ...reading, wallMs: reading.wallMs + ms, bootMs: reading.bootMs + ms }
    }
    await body({ ...bench, core, other, pass })
  })
}

/** As the rebuild of its index does. */
async function share(from: TestCore, to: TestCore): Promise<void> {
  await to.store.write(await from.store.read(VM))
}

hostsTest(
  'a lease that was renewed holds although the record, of an old copy of the database, says that it ended',
  async ({ core, mount, pass }) => {
    const { id } = await core.snapshots.create(VM, WHOLE)
    await core.leases.take(VM, id, REQUEST)
    const yesterday = await core.store.read(VM)
    pass(12 * HOUR)
    const { expiresAt } = await core.leases.take(VM, id, REQUEST)
    await core.store.write(yesterday)
    pass(13 * HOUR)
    assert.equal((await core.leases.get(VM, id)).expiresAt, expiresAt)
    const refused = failsWith('SNAPSHOT_LEASED', new RegExp(`"chain" until ${expiresAt}`))
    await assert.rejects(core.snapshots.delete(VM, id), refused)
    await assert.rejects(core.snapshots.purge(VM), refused)
    await assert.rejects(core.leases.take(VM, id, { holder: 'other', ttlMs: HOUR }), refused)
    pass(11 * HOUR)
    await core.snapshots.delete(VM, id)
    assert.deepEqual(await snapshotFolders(mount), [])
  },
)

hostsTest(
  'a base that one host has leased again is kept by the retention and the deletions of another',
  async ({ core, other, mount, pass }) => {
    const { id } = await core.snapshots.create(VM, WHOLE)
    const newest = await core.snapshots.create(VM, WHOLE)
    await core.leases.take(VM, id, REQUEST)
    await share(core, other)
    pass(23 * HOUR)
    await core.leases.take(VM, id, REQUEST)
    pass(2 * HOUR)
    other.retention.soon(VM)
    await other.retention.idle()
    await assert.rejects(other.snapshots.delete(VM, id), failsWith('SNAPSHOT_LEASED'))
    assert.deepEqual(await snapshotFolders(mount), [id, newest.id].sort())
    await core.leases.release(VM, id, 'chain')
    other.retention.soon(VM)
    await other.retention.idle()
    assert.deepEqual(await snapshotFolders(mount), [newest.id])
  },
  { keepLast: 1 },
)

hostsTest(
  'who has a lease by the file alone is not put out of it by who has it by an old record',
  async ({ core, other }) => {
    const { id } = await core.snapshots.create(VM, WHOLE)
    await core.leases.take(VM, id, REQUEST)
    await share(core, other)
    await core.leases.release(VM, id, 'chain')
    await core.leases.take(VM, id, { holder: 'new chain', ttlMs: HOUR })
    await assert.rejects(other.leases.take(VM, id, REQUEST), failsWith('SNAPSHOT_LEASED', /"new chain"/))
    await assert.rejects(other.leases.release(VM, id, 'chain'), failsWith('SNAPSHOT_LEASED', /"new chain"/))
    assert.equal((await core.leases.get(VM, id)).holder, 'new chain')
  },
)

for (const [way, remove] of [
  ['a deletion', (other: TestCore, id: string) => other.snapshots.delete(VM, id)],
  ['a purge', (other: TestCore) => other.snapshots.purge(VM)],
  [
    'retention',
    async (other: TestCore) => {
      other.retention.soon(VM)
      await other.retention.idle()
    },
  ],
] as const) {
  hostsTest(
    `of a lease and ${way} of another host at the same moment, one is refused`,
    async ({ core, other, mount }) => {
      const { id } = await core.snapshots.create(VM, WHOLE)
      await core.snapshots.create(VM, WHOLE)
      await share(core, other)
      const lock = join(mount, 'CoriolisSnapshots/.locks', VM)
      const [held, release] = [deferred(), deferred()]
      const work = async () => {
        held.resolve()
        await release.promise
      }
      const holding = core.changes.run([mount], VM, work)
      await held.promise
      const removing = remove(other, id).catch((error: unknown) => error)
      await openedHere(lock, 2)
      const taking = core.leases.take(VM, id, REQUEST).then(
        () => undefined,
        (error: unknown) => error,
      )
      // Both wait. A lease that did not would be given to what is being removed.
      const waiting = openedHere(lock, 3).finally(() => release.resolve())
      await Promise.all([waiting, taking, removing, holding])
      const refused = await taking
      assert.equal((await snapshotFolders(mount)).includes(id), refused === undefined)
      if (refused !== undefined) failsWith('SNAPSHOT_DAMAGED', /gone/)(refused)
    },
    { keepLast: 1 },
  )
}

hostsTest(
  'an orphan that another host has leased is removed by force, or when the lease is over',
  async ({ core, other, mount, pass }) => {
    const first = await core.snapshots.create(VM, WHOLE)
    const second = await core.snapshots.create(VM, WHOLE)
    const { expiresAt } = await core.leases.take(VM, first.id, REQUEST)
    await core.leases.take(VM, second.id, REQUEST)
    const refused = failsWith('ORPHAN_REFUSED', new RegExp(`leased by "chain" until ${expiresAt}.*--force`))
    await assert.rejects(other.orphans.remove(first.id), refused)
    const file = join(mount, 'CoriolisSnapshots', second.id, 'snapshot.lease.json')
    await rm(file)
    await symlink('/dev/null', file)
    const unknown = failsWith('ORPHAN_REFUSED', /--force: whether it is leased can't be read.*ELOOP/)
    await assert.rejects(other.orphans.remove(second.id), unknown)
    assert.deepEqual(await snapshotFolders(mount), [first.id, second.id].sort())
    await other.orphans.remove(second.id, { force: true })
    assert.deepEqual(await snapshotFolders(mount), [first.id])
    pass(REQUEST.ttlMs)
    assert.equal((await other.orphans.remove(first.id)).lease, undefined)
    assert.deepEqual(await snapshotFolders(mount), [])
  },
)

snapshotTest('a lease of a repository that is not mounted is not said to be none', async (bench) => {
  const { core, filesystem } = bench
  const { id } = await core.snapshots.create(VM, WHOLE)
  await filesystem.unmount()
  await assert.rejects(core.leases.get(VM, id), failsWith('REPOSITORY_NOT_MOUNTED'))
  await filesystem.mount()
  await assert.rejects(core.leases.get(VM, id), failsWith('LEASE_NOT_FOUND'))
})
