import { join } from 'node:path'
import { backendFailure } from '../backends/backend-failure.ts'
import { skewOf, stallOf } from '../consistency/clone-spans.ts'
import type { HookSubject } from '../consistency/hook-arguments.ts'
import type { Quiesce } from '../consistency/quiesce.ts'
import { DiskferryError } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import type { HoldBeneath } from '../held-path.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import { untilSilent } from '../mounts/until-silent.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import type { CloneSource } from '../vms/disk-plan.ts'
import { type CloneTask, cloneDisk } from './clone-disk.ts'
import { HeldFolders } from './held-folders.ts'
import { pinHome, stampOf } from './pin-home.ts'
import type { Removal } from './remove-tree.ts'
import type { RepositoryLocks } from './repository-locks.ts'
import {
  isSnapshotThere,
  makeSnapshotFolder,
  removeSnapshotFolder,
  retireSnapshotFolder,
  snapshotFolder,
  syncFolder,
} from './snapshot-folder.ts'
import { markUnfinished, writeManifest } from './snapshot-manifest.ts'
import type { SnapshotRecord } from './snapshot-record.ts'
import { type DraftedSnapshot, stampDraft } from './stamp-draft.ts'
import { takeBack } from './take-back.ts'

type FolderWork<Result> = (
  root: string,
  snapshotId: string,
  stamp: string | undefined,
  guard: MountGuard,
  hold: HoldBeneath,
) => Promise<Result>

/** Makes and removes the files of whole snapshots. */
export class SnapshotFiles {
  readonly #guard: MountGuard
  readonly #hold: HoldBeneath
  readonly #watches: MountWatches
  readonly #quiesce: Quiesce
  readonly #locks: RepositoryLocks
  /** Ids of snapshots whose files are being made, also when nobody waits for them any more. */
  readonly #making = new Set<string>()
  /** Ids of snapshots that failed and of which no file is left, although their repositories are not mounted. */
  readonly #takenBack = new Set<string>()

  constructor(
    guard: MountGuard,
    hold: HoldBeneath,
    watches: MountWatches,
    quiesce: Quiesce,
    locks: RepositoryLocks,
  ) {
    this.#guard = guard
    this.#hold = hold
    this.#watches = watches
    this.#quiesce = quiesce
    this.#locks = locks
  }

  /** As `stampDraft`: before the first record, so that what a killed program leaves is looked for in the right repository. */
  stamped(drafted: DraftedSnapshot, signal?: AbortSignal): Promise<DraftedSnapshot> {
    const parts = { guard: this.#guard, hold: this.#hold, watches: this.#watches }
    return stampDraft(drafted, parts, signal)
  }

  /**
   * Clones every disk, all at once so that they are as close in time as can be, with the guest at rest where there are
   * hooks for that, writes `snapshot.json` beside them and syncs the folders. After an error there may be files: `remove` takes them away.
   *
   * @returns the record with the sizes that the clones really have
   * @throws VM_BUSY, REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING, REPOSITORY_FULL, REPOSITORY_READ_ONLY,
   * QUIESCE_FAILED, CLONE_FAILED, ABORTED
   */
  make(
    vmId: string,
    draft: SnapshotRecord,
    tasks: readonly CloneTask[],
    signal?: AbortSignal,
  ): Promise<SnapshotRecord> {
    return this.#watches.run(
      rootsOf(draft),
      // All of it is in here, since it goes on when nobody waits for it any more: the locks are held until it has ended.
      async (either) => {
        this.#making.add(draft.id)
        try {
          const work = () => this.#make(vmId, draft, tasks, either)
          return await this.#locks.hold(rootsOf(draft), vmId, work, either)
        } finally {
          this.#making.delete(draft.id)
        }
      },
      signal,
    )
  }

  /** Before anything is changed. @throws REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING, REPOSITORY_READ_ONLY */
  async assertRemovable(record: SnapshotRecord): Promise<void> {
    if (this.#making.has(record.id)) {
      throw new DiskferryError(
        'REPOSITORY_NOT_RESPONDING',
        `the files of snapshot ${record.id} were still being made when a repository fell silent, and the kernel has not let go of that yet`,
      )
    }
    await this.#watches.assertAnswer(rootsOf(record))
    for (const root of rootsOf(record)) {
      if (await this.#watches.call([root], () => this.#isReadOnly(root, record))) {
        throw new DiskferryError(
          'REPOSITORY_READ_ONLY',
          `the repository '${root}' is mounted read-only, so snapshot ${record.id} can't be deleted: look into the kernel log for the reason, then remount it`,
          { clientMessage: 'The repository is mounted read-only; nothing was changed.' },
        )
      }
    }
  }

  /**
   * Removes all files of a snapshot, as far as they are there.
   *
   * @param patienceMs how long to wait for the VM's locks in the repositories
   * @throws VM_BUSY; as `assertRemovable`
   */
  async remove(vmId: string, record: SnapshotRecord, patienceMs?: number): Promise<Removal> {
    if (this.#takenBack.delete(record.id)) return 'gone'
    await this.assertRemovable(record)
    const roots = rootsOf(record)
    const remove = () => this.removeFolders(record.id, roots, `VM ${vmId}`, record)
    // A snapshot that was never begun, for want of the locks, must not wait for them again to be forgotten.
    if (!(await this.#isBegun(record))) return await remove()
    return await this.#watches.call(roots, (either) =>
      this.#locks.hold(roots, vmId, remove, either, {
        evenIfFull: true,
        ...(patienceMs !== undefined && { patienceMs }),
      }),
    )
  }

  /**
   * Removes the folders of a snapshot, as far as they are there.
   *
   * @param whose begins the message of an error
   * @param record when there is one: it tells another repository that is mounted by now
   * @throws as `assertRemovable`
   */
  async removeFolders(
    id: string,
    roots: readonly string[],
    whose: string,
    record?: SnapshotRecord,
  ): Promise<Removal> {
    const each = <Result>(root: string, work: FolderWork<Result>): Promise<Result> => {
      const stamp = record === undefined ? undefined : stampOf(record, root)
      return this.#watches.run([root], () => work(root, id, stamp, this.#guard, this.#hold))
    }
    try {
      // First in every repository: what is left of a snapshot in one must not look whole when it is half gone in another.
      for (const root of roots) {
        await each(root, retireSnapshotFolder)
        faultPoint('remove.retired')
      }
      let removal: Removal = 'gone'
      for (const root of roots) if ((await each(root, removeSnapshotFolder)) === 'held') removal = 'held'
      return removal
    } catch (error) {
      throw backendFailure(error, 'INTERNAL', `${whose}: the files of snapshot ${id} can't be removed`)
    }
  }

  /** Has it a folder in any of these repositories? */
  async #isBegun(record: SnapshotRecord): Promise<boolean> {
    const found = rootsOf(record).map((root) =>
      this.#watches.run([root], () =>
        isSnapshotThere(root, record.id, stampOf(record, root), this.#guard, this.#hold),
      ),
    )
    return (await Promise.all(found)).includes(true)
  }

  /** @throws REPOSITORY_NOT_MOUNTED, also where it is another repository than the one that has the snapshot */
  async #isReadOnly(root: string, record: SnapshotRecord): Promise<boolean> {
    try {
      await using home = await pinHome(root, stampOf(record, root), this.#guard, this.#hold)
      return home.mount.readOnly
    } catch (error) {
      throw backendFailure(
        error,
        'INTERNAL',
        `the repository '${root}' of snapshot ${record.id} can't be looked at`,
      )
    }
  }

  async #make(
    vmId: string,
    draft: SnapshotRecord,
    tasks: readonly CloneTask[],
    signal: AbortSignal,
  ): Promise<SnapshotRecord> {
    await using folders = new HeldFolders()
    let cloning: Promise<unknown> | undefined
    try {
      for (const [root, { source }] of firstTaskByRoot(tasks)) {
        const folder = await makeSnapshotFolder(root, draft.id, source.mount, this.#guard, this.#hold)
        folders.add(root, folder)
        faultPoint('create.folder-made')
        await markUnfinished(folder.path, vmId, draft)
        faultPoint('create.marked-unfinished')
      }
      const work = () => {
        const clones = tasks.map((task) => {
          const target = join(folders.of(task.record.root), task.record.name)
          return cloneDisk(task, target, this.#guard, this.#hold, signal)
        })
        cloning = Promise.allSettled(clones)
        // The first that fails loses the snapshot: the guest need not wait for the others.
        return untilSilent(Promise.all(clones), signal)
      }
      const { result: clones, ...consistency } = await this.#quiesce.around(
        subjectOf(vmId, draft),
        work,
        signal,
      )
      const made: SnapshotRecord = {
        ...draft,
        ...consistency,
        stallMs: stallOf(clones),
        skewMs: skewOf(clones),
        state: 'ready',
        disks: clones.map(({ disk }) => disk),
      }
      for (const root of rootsOf(draft)) {
        const folder = folders.of(root)
        await writeManifest(folder, vmId, made)
        await syncFolder(folder)
        // Not join(), which would take the descriptor away instead of asking the kernel for the folder above.
        await syncFolder(`${folder}/..`)
        faultPoint('create.synced')
      }
      return made
    } catch (error) {
      // Only then is no clone under way any more, and the caller may take the files away.
      await cloning
      if (await takeBack(error, folders, draft.id)) this.#takenBack.add(draft.id)
      throw backendFailure(error, 'CLONE_FAILED', `VM ${vmId}: the snapshot could not be made`, signal)
    }
  }
}

/** Where the clone of a disk goes. */
export function clonePath(source: CloneSource, snapshotId: string, diskName: string): string {
  return join(snapshotFolder(source.root, snapshotId), diskName)
}

/** Whom the hooks of a snapshot are run for. */
export function subjectOf(vmId: string, record: SnapshotRecord): HookSubject {
  return { vm: vmId, uuid: record.vmUuid, name: record.vmFriendlyName }
}

function firstTaskByRoot(tasks: readonly CloneTask[]): ReadonlyMap<string, CloneTask> {
  const byRoot = new Map<string, CloneTask>()
  for (const task of tasks) {
    if (!byRoot.has(task.record.root)) byRoot.set(task.record.root, task)
  }
  return byRoot
}

/** The repositories that hold a part of a snapshot, by their folders. */
export function rootsOf(record: SnapshotRecord): readonly string[] {
  return [...new Set(record.disks.map((disk) => disk.root))]
}
