import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ClockReading } from '../../../core/leases/lease-clock.ts'
import { makeCore } from '../../support/core.ts'
import { snapshotFolders } from '../../support/snapshot-folders.ts'
import { failsWith, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'

const HOUR = 3_600_000
const REQUEST = { holder: 'weekly chain', ttlMs: 24 * HOUR }

/** Both clocks of a host, set by hand. */
function handClock(wall = Date.parse('2024-02-29T12:00:00Z')) {
  let reading: ClockReading = { wallMs: wall, bootId: 'first', bootMs: 1000 }
  return {
    clock: () => reading,
    pass: (ms: number) => {
      reading = { ...reading, wallMs: reading.wallMs + ms, bootMs: reading.bootMs + ms }
    },
    setWall: (ms: number) => {
      reading = { ...reading, wallMs: reading.wallMs + ms }
    },
    reboot: () => {
      reading = { ...reading, bootId: 'second', bootMs: 5 }
    },
  }
}

snapshotTest(
  'a leased snapshot is neither deleted nor purged, and the refusal names holder and end',
  async ({ core, mount }) => {
    const [first, second] = [await core.snapshots.create(VM, WHOLE), await core.snapshots.create(VM, WHOLE)]
    const lease = await core.leases.take(VM, second.id, REQUEST)
    const refused = failsWith('SNAPSHOT_LEASED', new RegExp(`"weekly chain" until ${lease.expiresAt}`))
    await assert.rejects(core.snapshots.delete(VM, second.id), refused)
    await assert.rejects(core.snapshots.purge(VM), refused)
    assert.deepEqual(await snapshotFolders(mount), [first.id, second.id].sort())
    assert.deepEqual((await core.snapshots.get(VM, second.id, WHOLE)).lease, lease)
    assert.deepEqual(
      (await core.snapshots.list(VM, WHOLE)).map((snapshot) => snapshot.lease),
      [null, lease],
    )
    await core.snapshots.delete(VM, first.id)
    await core.leases.release(VM, second.id)
    await core.snapshots.purge(VM)
    assert.deepEqual(await snapshotFolders(mount), [])
  },
)

snapshotTest('force deletes what is leased, and the log says who took it from whom', async (bench) => {
  const { mount, dbFile, disk } = bench
  const warnings: [object, string][] = []
  const log = {
    info: () => undefined,
    warn: (fields: object, message: string) => void warnings.push([fields, message]),
    error: () => undefined,
  }
  await using core = await makeCore({ mounts: [mount], vms: [{ name: VM, disks: [disk] }], dbFile, log })
  const { id } = await core.snapshots.create(VM, WHOLE)
  const { expiresAt } = await core.leases.take(VM, id, REQUEST)
  await core.snapshots.purge(VM, { force: true, user: 'root' })
  assert.deepEqual(await snapshotFolders(mount), [])
  assert.deepEqual(warnings, [
    [
      { vm: VM, snapshot: id, holder: 'weekly chain', expires_at: expiresAt, user: 'root' },
      'a leased snapshot is deleted by force: whoever holds the lease must start its chain anew',
    ],
  ])
})

snapshotTest('a lease is renewed by its holder, refused to another, and free when it ends', async (bench) => {
  const { mount, dbFile, disk } = bench
  const time = handClock()
  await using core = await makeCore({
    mounts: [mount],
    vms: [{ name: VM, disks: [disk] }],
    dbFile,
    clock: time.clock,
  })
  const { id } = await core.snapshots.create(VM, WHOLE)
  const taken = await core.leases.take(VM, id, REQUEST)
  assert.equal(taken.expiresAt, '2024-03-01T12:00:00.000Z')
  time.pass(HOUR)
  assert.equal((await core.leases.take(VM, id, REQUEST)).expiresAt, '2024-03-01T13:00:00.000Z')
  const other = { holder: 'other', ttlMs: 1000 }
  await assert.rejects(core.leases.take(VM, id, other), failsWith('SNAPSHOT_LEASED', /weekly chain/))
  await assert.rejects(core.leases.release(VM, id, 'other'), failsWith('SNAPSHOT_LEASED', /weekly chain/))
  time.pass(24 * HOUR - 1)
  assert.equal((await core.leases.get(VM, id)).holder, 'weekly chain')
  time.pass(1)
  await assert.rejects(core.leases.get(VM, id), failsWith('LEASE_NOT_FOUND', /PUT/))
  assert.equal((await core.snapshots.get(VM, id, WHOLE)).lease, null)
  assert.equal((await core.leases.take(VM, id, other)).holder, 'other')
  time.pass(1000)
  await core.snapshots.delete(VM, id)
  assert.deepEqual(await snapshotFolders(mount), [])
})

snapshotTest('setting the time of day neither ends a lease nor draws it out', async (bench) => {
  const { mount, dbFile, disk } = bench
  const time = handClock()
  await using core = await makeCore({
    mounts: [mount],
    vms: [{ name: VM, disks: [disk] }],
    dbFile,
    clock: time.clock,
  })
  const { id } = await core.snapshots.create(VM, WHOLE)
  await core.leases.take(VM, id, REQUEST)
  time.setWall(365 * 24 * HOUR)
  await assert.rejects(core.snapshots.delete(VM, id), failsWith('SNAPSHOT_LEASED'))
  time.setWall(-730 * 24 * HOUR)
  await assert.rejects(core.snapshots.delete(VM, id), failsWith('SNAPSHOT_LEASED'))
  time.pass(24 * HOUR)
  await assert.rejects(core.leases.get(VM, id), failsWith('LEASE_NOT_FOUND'))
  // After a reboot there is the time of day alone, and that is still two years behind: kept rather than lost.
  time.reboot()
  await assert.rejects(core.snapshots.delete(VM, id), failsWith('SNAPSHOT_LEASED'))
  time.setWall(731 * 24 * HOUR)
  await core.snapshots.delete(VM, id)
})

snapshotTest(
  'a lease is kept beside the snapshot, and holds when the index knows of none',
  async ({ core, mount }) => {
    const { id, disks } = await core.snapshots.create(VM, WHOLE)
    await core.leases.take(VM, id, REQUEST)
    const folder = join(mount, 'CoriolisSnapshots', id)
    const file = join(folder, 'snapshot.lease.json')
    const kept = JSON.parse(await readFile(file, 'utf8'))
    assert.deepEqual(
      { version: kept.version, snapshotId: kept.snapshotId, holder: kept.holder, ttlMs: kept.ttlMs },
      { version: 1, snapshotId: id, ...REQUEST },
    )
    const record = await core.store.read(VM)
    const snapshots = record.snapshots.map(({ lease: _, ...rest }) => rest)
    await core.store.write({ ...record, snapshots })
    await assert.rejects(core.snapshots.purge(VM), failsWith('SNAPSHOT_LEASED', /weekly chain/))
    assert.equal((await core.leases.get(VM, id)).holder, 'weekly chain')
    await core.leases.release(VM, id, 'weekly chain')
    assert.deepEqual((await readdir(folder)).sort(), [disks[0]!.name, 'snapshot.json'])
    // What is not of our making holds nothing.
    for (const text of ['', '{"version":1}', '[]', 'x'.repeat(100_000)]) {
      await writeFile(file, text)
      await assert.rejects(core.leases.get(VM, id), failsWith('LEASE_NOT_FOUND'))
    }
    // Whether it is leased can't be known: then it is not deleted, unless by force.
    await rm(file)
    await mkdir(file)
    await assert.rejects(
      core.snapshots.delete(VM, id),
      failsWith('READ_FAILED', /whether snapshot .* is leased/),
    )
    await core.snapshots.delete(VM, id, { force: true })
    assert.deepEqual(await snapshotFolders(mount), [])
  },
)

snapshotTest('what has no files or is not there is not leased', async ({ core, mount }) => {
  const { id } = await core.snapshots.create(VM, WHOLE)
  await assert.rejects(core.leases.take(VM, 'never-was', REQUEST), failsWith('SNAPSHOT_NOT_FOUND'))
  await assert.rejects(core.leases.take('nobody', id, REQUEST), failsWith('SNAPSHOT_NOT_FOUND'))
  await rm(join(mount, 'CoriolisSnapshots', id), { recursive: true })
  await assert.rejects(core.leases.take(VM, id, REQUEST), failsWith('SNAPSHOT_DAMAGED', /gone/))
  await core.leases.release(VM, id)
  await core.snapshots.delete(VM, id)
})

snapshotTest('of two who want a lease at once, one gets it', async ({ core, mount, dbFile, disk }) => {
  await using other = await makeCore({ mounts: [mount], vms: [{ name: VM, disks: [disk] }], dbFile })
  const { id } = await core.snapshots.create(VM, WHOLE)
  const outcomes = await Promise.allSettled(
    [core, other].map(({ leases }, index) => leases.take(VM, id, { holder: `client ${index}`, ttlMs: HOUR })),
  )
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
})

snapshotTest('a repository that is read-only gives no lease, and one not mounted says so', async (bench) => {
  const { core, filesystem } = bench
  const { id } = await core.snapshots.create(VM, WHOLE)
  await filesystem.remountReadOnly()
  await assert.rejects(core.leases.take(VM, id, REQUEST), failsWith('REPOSITORY_READ_ONLY'))
  await filesystem.unmount()
  await assert.rejects(core.leases.take(VM, id, REQUEST), failsWith('REPOSITORY_NOT_MOUNTED'))
  await filesystem.mount()
  await core.leases.take(VM, id, REQUEST)
})
