import type { Quiesce } from '../consistency/quiesce.ts'
import { describe } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import type { Log } from '../log.ts'
import { LaterTries } from './later-tries.ts'
import type { Commit, RepositoryChanges } from './repository-changes.ts'
import { rootsOf, type SnapshotFiles, subjectOf } from './snapshot-files.ts'
import type { SnapshotRecord, VmRecord } from './snapshot-record.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import type { VmLocks } from './vm-locks.ts'

/** At start another server may be in the middle of an operation: its lock tells, and there is no reason to wait. */
const RECOVERY_PATIENCE_MS = 2_000

/**
 * The order of writing that makes a snapshot whole or gone, whenever the program dies:
 * `creating` is written before the first file, and rolled back; `deleting` is written before the first file goes, and
 * rolled forward. Every method but `recoverAll` is called with the VM's lock held.
 */
export class SnapshotJournal {
  readonly #store: SnapshotStore
  readonly #files: SnapshotFiles
  readonly #locks: VmLocks
  readonly #log: Log
  readonly #quiesce: Quiesce
  readonly #changes: RepositoryChanges
  /** Unfinished snapshots whose guest is not at rest any more, as far as we can help. */
  readonly #released = new Set<string>()
  /** VMs with a snapshot whose files somebody still reads. */
  readonly #later: LaterTries

  constructor(
    store: SnapshotStore,
    files: SnapshotFiles,
    locks: VmLocks,
    log: Log,
    quiesce: Quiesce,
    changes: RepositoryChanges,
  ) {
    this.#store = store
    this.#files = files
    this.#locks = locks
    this.#log = log
    this.#quiesce = quiesce
    this.#changes = changes
    this.#later = new LaterTries((vmId) => this.#settleAgain(vmId))
  }

  /**
   * The VM's record, with what a killed program left behind cleared away as far as that can be done now.
   *
   * @param patienceMs how long to wait for each lock that this takes
   */
  async settled(vmId: string, patienceMs?: number): Promise<VmRecord> {
    const record = await this.#store.read(vmId)
    if (record.snapshots.every((snapshot) => snapshot.state === 'ready')) return record
    faultPoint('recover.found')
    const kept: SnapshotRecord[] = []
    for (const snapshot of record.snapshots) {
      await this.#release(vmId, snapshot)
      if (snapshot.state === 'ready' || !(await this.#clear(vmId, snapshot, patienceMs))) kept.push(snapshot)
    }
    faultPoint('recover.removed')
    const settled = { ...record, snapshots: kept }
    await this.#store.write(settled)
    faultPoint('recover.forgotten')
    return settled
  }

  /**
   * Records `draft`, lets `make` produce its files, and records the result as ready. If anything fails, files and
   * record are gone when the error arrives.
   */
  async create<Result>(
    before: VmRecord,
    draft: SnapshotRecord,
    make: () => Promise<{ readonly record: SnapshotRecord; readonly result: Result }>,
  ): Promise<Result> {
    await this.#store.write({ ...before, snapshots: [...before.snapshots, draft] })
    faultPoint('create.recorded')
    try {
      const { record, result } = await make()
      await this.#store.write({ ...before, snapshots: [...before.snapshots, record] })
      faultPoint('create.ready')
      return result
    } catch (error) {
      this.#released.add(draft.id)
      if (await this.#clear(before.vmId, draft)) {
        faultPoint('rollback.removed')
        await this.#forgetAfterFailure(before)
        faultPoint('rollback.forgotten')
      }
      throw error
    }
  }

  /**
   * Removes the files and records of snapshots, one after the other. All of them can be removed before the first is.
   * Where files are still read the snapshot is gone for everybody else, and the rest goes when they are closed: until
   * then there is a record that says `deleting`.
   *
   * @param assertAllowed asked when no other server can change the files any more
   * @throws what `assertAllowed` throws, VM_BUSY, REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING,
   * REPOSITORY_READ_ONLY, with nothing changed
   */
  async delete(
    before: VmRecord,
    doomed: readonly SnapshotRecord[],
    assertAllowed: () => Promise<void>,
  ): Promise<void> {
    for (const snapshot of doomed) await this.#files.assertRemovable(snapshot)
    const roots = [...new Set(doomed.flatMap(rootsOf))]
    await this.#changes.run(roots, before.vmId, async (commit) => {
      await assertAllowed()
      let record = before
      for (const snapshot of doomed) {
        record = await this.#deleteOne(record, snapshot, commit)
        faultPoint('purge.next')
      }
    })
  }

  async #deleteOne(before: VmRecord, snapshot: SnapshotRecord, commit: Commit): Promise<VmRecord> {
    const others = before.snapshots.filter(({ id }) => id !== snapshot.id)
    const marked = before.snapshots.map((known) =>
      known.id === snapshot.id ? { ...known, state: 'deleting' as const } : known,
    )
    const underWay = { ...before, snapshots: marked }
    await commit(() => this.#store.write(underWay))
    faultPoint('delete.marked')
    const whose = `VM ${before.vmId}`
    if ((await this.#files.removeFolders(snapshot.id, rootsOf(snapshot), whose, snapshot)) === 'held') {
      this.#putOff(before.vmId, snapshot.id)
      return underWay
    }
    faultPoint('delete.removed')
    const after = { ...before, snapshots: others }
    await commit(() => this.#store.write(after))
    faultPoint('delete.forgotten')
    return after
  }

  /** Clears away what a killed program left behind, for all VMs. Never fails for one VM's sake. */
  async recoverAll(): Promise<void> {
    for (const vmId of await this.#store.vmIds()) {
      try {
        const { snapshots } = await this.#store.read(vmId)
        if (snapshots.every((snapshot) => snapshot.state === 'ready')) continue
        const settle = () => this.settled(vmId, RECOVERY_PATIENCE_MS)
        await this.#locks.hold(vmId, settle, undefined, RECOVERY_PATIENCE_MS)
      } catch (error) {
        this.#log.warn(
          { vm: vmId, err: error },
          'recovery of a VM is put off: it is tried again at its next snapshot',
        )
      }
    }
  }

  /** Gives up what is put off, which the next start does. */
  stop(): Promise<void> {
    return this.#later.stop()
  }

  #putOff(vmId: string, snapshotId: string): void {
    this.#log.info(
      { vm: vmId, snapshot: snapshotId },
      'a snapshot is deleted while its files are still being read: what is left of them goes when they are closed',
    )
    this.#later.add(vmId)
  }

  /** @returns whether nothing is left to be done */
  async #settleAgain(vmId: string): Promise<boolean> {
    try {
      const settle = () => this.settled(vmId, RECOVERY_PATIENCE_MS)
      const { snapshots } = await this.#locks.hold(vmId, settle, undefined, RECOVERY_PATIENCE_MS)
      return snapshots.every(({ state }) => state === 'ready')
    } catch (error) {
      this.#log.warn(
        { vm: vmId, err: error },
        'a snapshot could not be deleted to the end, it is tried again',
      )
      return false
    }
  }

  /** A program that was killed between the hooks left the guest at rest. Once: the record may stay for long. */
  async #release(vmId: string, snapshot: SnapshotRecord): Promise<void> {
    if (snapshot.state !== 'creating' || this.#released.has(snapshot.id)) return
    this.#released.add(snapshot.id)
    await this.#quiesce.release(subjectOf(vmId, snapshot))
  }

  async #clear(vmId: string, snapshot: SnapshotRecord, patienceMs?: number): Promise<boolean> {
    const fields = { vm: vmId, snapshot: snapshot.id, state: snapshot.state }
    try {
      if ((await this.#files.remove(vmId, snapshot, patienceMs)) === 'held') {
        this.#putOff(vmId, snapshot.id)
        return false
      }
      this.#log.info(fields, 'the files of an unfinished snapshot were removed')
      return true
    } catch (error) {
      this.#log.warn(
        { ...fields, err: error },
        `the files of an unfinished snapshot could not be removed, it is tried again later: ${describe(error)}`,
      )
      return false
    }
  }

  async #forgetAfterFailure(before: VmRecord): Promise<void> {
    try {
      await this.#store.write(before)
    } catch (error) {
      this.#log.error(
        { vm: before.vmId, err: error },
        'the record of a failed snapshot could not be removed; its files are gone, and the next start removes it',
      )
    }
  }
}
