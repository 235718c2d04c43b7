import { join } from 'node:path'
import { backendFailure } from '../backends/backend-failure.ts'
import { DiskferryError, systemCode } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import type { HoldBeneath } from '../held-path.ts'
import { isThere } from '../is-there.ts'
import type { Log } from '../log.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import type { PinnedRoot } from '../repositories/pinned-root.ts'
import { holdFolder } from '../snapshots/hold-folder.ts'
import { pinHome, stampOf } from '../snapshots/pin-home.ts'
import type { Commit, RepositoryChanges } from '../snapshots/repository-changes.ts'
import { rootsOf } from '../snapshots/snapshot-files.ts'
import { holdSnapshotFolder, isRetired, snapshotFolder } from '../snapshots/snapshot-folder.ts'
import { MANIFEST_NAME } from '../snapshots/snapshot-manifest.ts'
import type { SnapshotRecord, VmRecord } from '../snapshots/snapshot-record.ts'
import { findSnapshot } from '../snapshots/snapshot-service.ts'
import type { SnapshotStore } from '../snapshots/snapshot-store.ts'
import type { VmLocks } from '../snapshots/vm-locks.ts'
import type { DeleteOptions, Lease, LeaseRequest, Leases } from './lease.ts'
import type { Clock } from './lease-clock.ts'
import { leaseBeside, removeLeaseFile, writeLeaseFile } from './lease-file.ts'
import { isLive, type LeaseRecord, makeLease, shownLease } from './lease-record.ts'

export interface LeaseServiceParts {
  readonly store: SnapshotStore
  readonly locks: VmLocks
  readonly changes: RepositoryChanges
  readonly guard: MountGuard
  readonly hold: HoldBeneath
  readonly watches: MountWatches
  readonly clock: Clock
  readonly log: Log
}

/**
 * Leases are kept in the VM's record and in a file beside the snapshot. Either holds the snapshot: the index may have
 * been lost, restored from an old copy, or be that of another host, and then only the file knows of a lease or of its
 * renewal. The file is always changed first, so the record never promises what the file lacks.
 */
export class LeaseService implements Leases {
  readonly #parts: LeaseServiceParts

  constructor(parts: LeaseServiceParts) {
    this.#parts = parts
  }

  async get(vmId: string, snapshotId: string): Promise<Lease> {
    const { store, clock } = this.#parts
    const snapshot = findReady(await store.read(vmId), snapshotId)
    const lease = shownLease(await this.live(snapshot), clock())
    if (lease !== null) return lease
    throw new DiskferryError(
      'LEASE_NOT_FOUND',
      `snapshot ${snapshotId} of VM ${vmId} is not leased; PUT takes a lease`,
    )
  }

  take(vmId: string, snapshotId: string, request: LeaseRequest, signal?: AbortSignal): Promise<Lease> {
    return this.#change(vmId, snapshotId, request.holder, signal, async (record, snapshot, commit) => {
      await this.#assertStays(snapshot)
      const lease = makeLease(request, this.#parts.clock())
      await this.#writeFiles(vmId, snapshot, lease)
      await commit(() => this.#parts.store.write(replaced(record, { ...snapshot, lease })))
      faultPoint('lease.recorded')
      return shownLease(lease, this.#parts.clock()) ?? lease
    })
  }

  async release(vmId: string, snapshotId: string, holder?: string, signal?: AbortSignal): Promise<void> {
    await this.#change(vmId, snapshotId, holder, signal, async (record, snapshot, commit) => {
      await this.#writeFiles(vmId, snapshot, undefined)
      const { lease, ...rest } = snapshot
      if (lease !== undefined) await commit(() => this.#parts.store.write(replaced(record, rest)))
      faultPoint('lease.forgotten')
    })
  }

  /**
   * The lease that holds a snapshot now.
   * @throws READ_FAILED for the file beside it, REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING
   */
  async live(snapshot: SnapshotRecord): Promise<LeaseRecord | undefined> {
    return this.#recorded(snapshot) ?? (await this.#beside(snapshot))[0]
  }

  #recorded({ lease }: SnapshotRecord): LeaseRecord | undefined {
    return lease !== undefined && isLive(lease, this.#parts.clock()) ? lease : undefined
  }

  /** Those of the files that hold the snapshot now. @throws as `live` */
  async #beside(snapshot: SnapshotRecord): Promise<readonly LeaseRecord[]> {
    const { watches, clock } = this.#parts
    const found: LeaseRecord[] = []
    for (const root of rootsOf(snapshot)) {
      try {
        const lease = await watches.run([root], () => this.#fileOf(root, snapshot))
        if (lease !== undefined && isLive(lease, clock())) found.push(lease)
      } catch (error) {
        throw backendFailure(
          error,
          'READ_FAILED',
          `whether snapshot ${snapshot.id} is leased can't be read in '${snapshotFolder(root, snapshot.id)}'`,
        )
      }
    }
    return found
  }

  /** Another than `holder` may have it by the file alone. */
  async #strange(snapshot: SnapshotRecord, holder: string | undefined): Promise<LeaseRecord | undefined> {
    if (holder === undefined) return undefined
    const recorded = this.#recorded(snapshot)
    const all = [...(recorded === undefined ? [] : [recorded]), ...(await this.#beside(snapshot))]
    return all.find((lease) => lease.holder !== holder)
  }

  /**
   * Before anything is deleted: refuses when one of these is leased, or logs that it is deleted all the same. To be
   * called with the VM's locks held, also those in the repositories: another server may be giving a lease.
   *
   * @throws SNAPSHOT_LEASED naming the holder and the end
   */
  async assertDeletable(
    vmId: string,
    snapshots: readonly SnapshotRecord[],
    { force = false, user }: DeleteOptions,
  ): Promise<void> {
    for (const snapshot of snapshots) {
      if (snapshot.state !== 'ready') continue
      const lease = await this.live(snapshot).catch((error: unknown) => {
        if (!force) throw error
        this.#parts.log.warn(
          { vm: vmId, snapshot: snapshot.id, err: error },
          'deleted by force, leased or not',
        )
        return undefined
      })
      if (lease === undefined) continue
      if (!force)
        throw leased(vmId, snapshot.id, lease, 'so it is not deleted; ?force=true deletes it all the same')
      const { holder, expiresAt } = lease
      this.#parts.log.warn(
        {
          vm: vmId,
          snapshot: snapshot.id,
          holder,
          expires_at: expiresAt,
          ...(user !== undefined && { user }),
        },
        'a leased snapshot is deleted by force: whoever holds the lease must start its chain anew',
      )
    }
  }

  async #change<Result>(
    vmId: string,
    snapshotId: string,
    holder: string | undefined,
    signal: AbortSignal | undefined,
    change: (record: VmRecord, snapshot: SnapshotRecord, commit: Commit) => Promise<Result>,
  ): Promise<Result> {
    const { store, locks, changes } = this.#parts
    // Before the lock, so that a stranger's ids leave no lock files behind.
    findReady(await store.read(vmId), snapshotId)
    return locks.hold(
      vmId,
      async () => {
        const record = await store.read(vmId)
        const snapshot = findReady(record, snapshotId)
        const checked = async (commit: Commit) => {
          const lease = await this.#strange(snapshot, holder)
          if (lease !== undefined)
            throw leased(vmId, snapshotId, lease, 'wait for it, or let its holder release it')
          return change(record, snapshot, commit)
        }
        // Else the lock would be made on whatever is mounted there.
        await this.#atEachHome(snapshot, async () => undefined)
        return changes.run(rootsOf(snapshot), vmId, checked, signal)
      },
      signal,
    )
  }

  async #writeFiles(vmId: string, snapshot: SnapshotRecord, lease: LeaseRecord | undefined): Promise<void> {
    const what = `VM ${vmId}: the lease of snapshot ${snapshot.id} can't be written beside it`
    for (const root of rootsOf(snapshot)) {
      try {
        await this.#parts.watches.run([root], () => this.#writeFile(root, snapshot, lease))
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw backendFailure(error, 'INTERNAL', what)
        throw filesGone(snapshot.id, error)
      }
    }
  }

  async #fileOf(root: string, snapshot: SnapshotRecord): Promise<LeaseRecord | undefined> {
    await using home = await this.#home(root, snapshot)
    return await leaseBeside(root, snapshot.id, home.hold)
  }

  /** Another server, with a database of its own, may have been killed while it deleted the snapshot. */
  #assertStays(snapshot: SnapshotRecord): Promise<void> {
    return this.#atEachHome(snapshot, async (root, { hold }) => {
      const path = snapshotFolder(root, snapshot.id)
      await using folder = await holdFolder(root, path, hold)
      if (folder === undefined) throw filesGone(snapshot.id)
      if (await isThere(join(folder.path, MANIFEST_NAME))) return
      const begun = await isRetired(root, path, hold)
      throw notToBeLeased(
        snapshot.id,
        begun ? 'a server has begun to delete it' : `its ${MANIFEST_NAME} is missing`,
      )
    })
  }

  /** @throws REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING, READ_FAILED, what `work` throws */
  async #atEachHome(
    snapshot: SnapshotRecord,
    work: (root: string, home: PinnedRoot) => Promise<void>,
  ): Promise<void> {
    for (const root of rootsOf(snapshot)) {
      try {
        await this.#parts.watches.run([root], async () => {
          await using home = await this.#home(root, snapshot)
          await work(root, home)
        })
      } catch (error) {
        throw backendFailure(error, 'READ_FAILED', `snapshot ${snapshot.id} can't be looked for in '${root}'`)
      }
    }
  }

  #home(root: string, snapshot: SnapshotRecord): Promise<PinnedRoot> {
    const { guard, hold } = this.#parts
    return pinHome(root, stampOf(snapshot, root), guard, hold)
  }

  /** In the folder that is held: a link in its place leads nowhere. */
  async #writeFile(root: string, snapshot: SnapshotRecord, lease: LeaseRecord | undefined): Promise<void> {
    await using home = await this.#home(root, snapshot)
    await using folder = await holdSnapshotFolder(root, snapshot.id, home.hold)
    if (lease !== undefined) {
      if (folder === undefined) throw filesGone(snapshot.id)
      await writeLeaseFile(folder.path, snapshot.id, lease)
    } else if (folder !== undefined) await removeLeaseFile(folder.path)
  }
}

function findReady(record: VmRecord, snapshotId: string): SnapshotRecord {
  const ready = record.snapshots.filter(({ state }) => state === 'ready')
  return findSnapshot(ready, record.vmId, snapshotId)
}

function replaced(record: VmRecord, snapshot: SnapshotRecord): VmRecord {
  return {
    ...record,
    snapshots: record.snapshots.map((known) => (known.id === snapshot.id ? snapshot : known)),
  }
}

function leased(vmId: string, snapshotId: string, lease: LeaseRecord, what: string): DiskferryError {
  return new DiskferryError(
    'SNAPSHOT_LEASED',
    `snapshot ${snapshotId} of VM ${vmId} is leased by ${JSON.stringify(lease.holder)} until ${lease.expiresAt}: ${what}`,
  )
}

function filesGone(snapshotId: string, cause?: unknown): DiskferryError {
  return notToBeLeased(snapshotId, 'its files are gone', cause)
}

function notToBeLeased(snapshotId: string, why: string, cause?: unknown): DiskferryError {
  return new DiskferryError(
    'SNAPSHOT_DAMAGED',
    `snapshot ${snapshotId} can't be leased: ${why}; delete it and make a full one`,
    { cause },
  )
}
