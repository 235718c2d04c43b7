import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { access, mkdir, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DiskferryError } from '../../../core/errors.ts'
import type { FileLocks } from '../../../core/file-lock.ts'
import type { Log } from '../../../core/log.ts'
import { MountGuard } from '../../../core/repositories/mount-guard.ts'
import { RepositoryLocks } from '../../../core/snapshots/repository-locks.ts'
import { acquireFlock, holdBeneath, readMounts, SystemCallError } from '../../../native/index.ts'
import { makeCore } from '../../support/core.ts'
import { deferred } from '../../support/deferred.ts'
import { fillUp } from '../../support/fill-up.ts'
import { snapshotFolders } from '../../support/snapshot-folders.ts'
import { failsWith, snapshotTest, VM, WHOLE } from '../../support/snapshot-test.ts'
import { storageTest } from '../../support/storage-test.ts'

const { signal } = new AbortController()

interface Warning {
  readonly fields: object
  readonly message: string
}

function makeLocks(patienceMs: number, acquire: FileLocks['acquire'] = acquireFlock) {
  const warnings: Warning[] = []
  const log: Log = {
    info: () => undefined,
    warn: (fields, message) => void warnings.push({ fields, message }),
    error: () => undefined,
  }
  const guard = new MountGuard({ list: readMounts }, true)
  return {
    warnings,
    locks: new RepositoryLocks({ locks: { acquire }, guard, hold: holdBeneath, log }, patienceMs),
  }
}

/** @returns what lets go of the lock, once it is held */
async function holding(locks: RepositoryLocks, roots: readonly string[], vmId: string) {
  const held = deferred()
  const release = deferred()
  const work = async () => {
    held.resolve()
    await release.promise
  }
  const done = locks.hold(roots, vmId, work, signal)
  await held.promise
  return async () => {
    release.resolve()
    await done
  }
}

storageTest('xfs', 'the lock of a VM in its repository is held by one at a time', async ({ mount }) => {
  const { locks } = makeLocks(30_000)
  const order: string[] = []
  const release = await holding(locks, [mount], VM)
  const second = locks.hold([mount], VM, async () => void order.push('second'), signal)
  await makeLocks(30_000).locks.hold([mount], 'vm-2', async () => void order.push('another VM'), signal)
  order.push('released')
  await release()
  await second
  assert.deepEqual(order, ['another VM', 'released', 'second'])
  const folder = join(mount, 'CoriolisSnapshots/.locks')
  assert.deepEqual((await readdir(folder)).sort(), [VM, 'vm-2'])
  assert.equal((await stat(folder)).mode & 0o777, 0o700)
  assert.equal((await stat(join(folder, VM))).mode & 0o777, 0o600)
})

storageTest('xfs', 'a lock that is not given up ends in VM_BUSY or with the signal', async ({ mount }) => {
  const release = await holding(makeLocks(30_000).locks, [mount], VM)
  const { locks } = makeLocks(100)
  const never = () => assert.fail('it has the lock')
  const named = new RegExp(
    `VM vm-1 is busy: .*another host.*'${mount}' .*'${mount}/CoriolisSnapshots/.locks/vm-1'`,
  )
  await assert.rejects(locks.hold([mount], VM, never, signal), failsWith('VM_BUSY', named))
  const gone = makeLocks(30_000).locks.hold([mount], VM, never, AbortSignal.timeout(100))
  await assert.rejects(gone, failsWith('ABORTED', /vm-1/))
  const silent = new DiskferryError('REPOSITORY_NOT_RESPONDING', 'it does not answer')
  const abandoned = makeLocks(30_000).locks.hold([mount], VM, never, AbortSignal.abort(silent))
  await assert.rejects(abandoned, failsWith('REPOSITORY_NOT_RESPONDING'))
  await release()
  const { locks: patient } = makeLocks(30_000)
  await assert.rejects(
    patient.hold([mount], VM, () => Promise.reject(new Error('the work fails')), signal),
    /the work fails/,
  )
  assert.equal(await patient.hold([mount], VM, async () => 'held again', signal), 'held again')
})

storageTest('xfs', 'ids that are no file names have locks of their own', async ({ mount }) => {
  const { locks } = makeLocks(100)
  const ids = ['../../escape', '.hidden', 'a/b', 'a b', '', 'x'.repeat(201), 'ü']
  for (const id of ids) {
    const release = await holding(makeLocks(30_000).locks, [mount], id)
    await assert.rejects(
      locks.hold([mount], id, async () => undefined, signal),
      failsWith('VM_BUSY'),
    )
    await release()
  }
  const names = await readdir(join(mount, 'CoriolisSnapshots/.locks'))
  assert.equal(names.length, ids.length)
  for (const name of names) assert.match(name, /^[0-9a-f]{64}$/)
})

storageTest('xfs', 'a link or a pipe in the place of a lock or its folder is refused', async ({ mount }) => {
  const { locks } = makeLocks(30_000)
  const hold = () => locks.hold([mount], VM, () => assert.fail('it has the lock'), signal)
  const folder = join(mount, 'CoriolisSnapshots/.locks')
  const elsewhere = join(mount, 'elsewhere')
  await mkdir(elsewhere)
  await mkdir(dirname(folder))
  await symlink(elsewhere, folder)
  await assert.rejects(hold(), failsWith('CLONE_FAILED', /its lock '.*\.locks\/vm-1' can't be had: .*ELOOP/))
  await rm(folder)
  await mkdir(folder)
  await symlink(join(elsewhere, 'lock'), join(folder, VM))
  await assert.rejects(hold(), failsWith('CLONE_FAILED', /it is a link, or no regular file/))
  await rm(join(folder, VM))
  execFileSync('mkfifo', [join(folder, VM)])
  await assert.rejects(hold(), failsWith('CLONE_FAILED', /it is a link, or no regular file/))
  await rm(folder, { recursive: true })
  await writeFile(folder, '')
  await assert.rejects(hold(), failsWith('CLONE_FAILED', /ENOTDIR/))
  assert.deepEqual(await readdir(elsewhere), [])
})

storageTest(
  'xfs',
  'nothing is written below a repository that is not mounted',
  async ({ mount, filesystem }) => {
    await filesystem.unmount()
    const { locks } = makeLocks(30_000)
    const held = locks.hold([mount], VM, () => assert.fail('it has the lock'), signal)
    await assert.rejects(held, failsWith('REPOSITORY_NOT_MOUNTED'))
    assert.deepEqual(await readdir(mount), [])
  },
)

storageTest('xfs', 'a filesystem without locks is warned of once, and used', async ({ mount }) => {
  for (const errno of [37, 38, 95]) {
    const { locks, warnings } = makeLocks(30_000, (path) =>
      Promise.reject(new SystemCallError('flock', errno, path)),
    )
    for (const vmId of [VM, 'vm-2']) {
      assert.equal(await locks.hold([mount], vmId, async () => 'done', signal), 'done')
    }
    assert.equal(warnings.length, 1)
    assert.match(warnings[0]!.message, /has no locks/)
  }
})

snapshotTest('a snapshot can be deleted where a full filesystem has no room for its lock', async (bench) => {
  const { core, mount } = bench
  const { id } = await core.snapshots.create(VM, WHOLE)
  await rm(join(mount, 'CoriolisSnapshots/.locks'), { recursive: true })
  await using _full = await fillUp(mount)
  const { locks, warnings } = makeLocks(30_000)
  await assert.rejects(
    locks.hold([mount], VM, () => assert.fail('it has the lock'), signal),
    failsWith('REPOSITORY_FULL', /its lock '.*\.locks\/vm-1' can't be had: .*free space/),
  )
  assert.equal(await locks.hold([mount], VM, async () => 'done', signal, { evenIfFull: true }), 'done')
  assert.match(warnings[0]!.message, /goes on without/)
  await core.snapshots.delete(VM, id)
  assert.deepEqual(await snapshotFolders(mount), [])
})

storageTest('xfs', 'a read-only repository gives no lock to a snapshot', async ({ mount, filesystem }) => {
  await filesystem.remountReadOnly()
  const { locks } = makeLocks(30_000)
  const held = locks.hold([mount], VM, () => assert.fail('it has the lock'), signal)
  await assert.rejects(held, failsWith('REPOSITORY_READ_ONLY'))
})

snapshotTest(
  'servers with databases of their own make and delete snapshots of a VM one after the other',
  async ({ core, mount, dbFile, disk }) => {
    const vms = [{ name: VM, disks: [disk] }]
    const { id } = await core.snapshots.create(VM, WHOLE)
    await using other = await makeCore({
      mounts: [mount],
      vms,
      dbFile: `${dbFile}-of-another-host`,
      repositoryLockPatienceMs: 100,
    })
    const kept = await other.snapshots.create(VM, WHOLE)
    const release = await holding(core.repositoryLocks, [mount], VM)
    await assert.rejects(other.snapshots.create(VM, WHOLE), failsWith('VM_BUSY', /\.locks\/vm-1/))
    assert.deepEqual(await snapshotFolders(mount), [id, kept.id].sort(), 'nothing was made')
    assert.equal((await other.store.read(VM)).snapshots.length, 1, 'and nothing is remembered')
    await assert.rejects(other.snapshots.delete(VM, kept.id), failsWith('VM_BUSY'))
    await access(kept.disks[0]!.path)
    await release()
    await other.snapshots.delete(VM, kept.id)
    assert.deepEqual(await snapshotFolders(mount), [id])
  },
)

snapshotTest('a start does not wait for a lock that another host holds', async ({ core, mount }) => {
  const { id } = await core.snapshots.create(VM, WHOLE)
  const record = await core.store.read(VM)
  await core.store.write({ ...record, snapshots: [{ ...record.snapshots[0]!, state: 'deleting' }] })
  const release = await holding(core.repositoryLocks, [mount], VM)
  const began = performance.now()
  await core.journal.recoverAll()
  const seconds = (performance.now() - began) / 1000
  assert.ok(seconds < 15, `it waited for ${seconds} s`)
  assert.deepEqual(await snapshotFolders(mount), [id])
  await release()
  await core.journal.recoverAll()
  assert.deepEqual(await snapshotFolders(mount), [])
  assert.deepEqual((await core.store.read(VM)).snapshots, [])
})
