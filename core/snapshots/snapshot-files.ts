import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { backendFailure } from '../backends/backend-failure.ts'
import { type CloneSpan, skewOf, stallOf, toMicrosecond } from '../consistency/clone-spans.ts'
import type { HookSubject } from '../consistency/hook-arguments.ts'
import type { Quiesce } from '../consistency/quiesce.ts'
import { DiskferryError, describe, systemCode } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import type { HeldPath, HoldBeneath } from '../held-path.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import { untilSilent } from '../mounts/until-silent.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import type { CloneSource } from '../vms/disk-plan.ts'
import { HeldFolders } from './held-folders.ts'
import { lastingIdentity } from './recorded-file.ts'
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
import type { DiskRecord, SnapshotRecord } from './snapshot-record.ts'

/** What HoldBeneath throws when something else than a file in the repository has a disk's name by now. */
const MOVED_CODES: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV'])

/** A disk that is to be cloned, with the record that is written before it is. */
export interface CloneTask {
  readonly record: DiskRecord
  readonly source: CloneSource
}

/** Makes and removes the files of whole snapshots. */
export class SnapshotFiles {
  readonly #guard: MountGuard
  readonly #hold: HoldBeneath
  readonly #watches: MountWatches
  readonly #quiesce: Quiesce
  readonly #locks: RepositoryLocks
  /** Ids of snapshots whose files are being made, also when nobody waits for them any more. */
  readonly #making = new Set<string>()

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
    await this.#watches.assertAnswer(rootsOf(record))
    for (const root of rootsOf(record)) {
      const { readOnly } = await this.#guard.assertMounted(root)
      if (readOnly) {
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
  async remove(vmId: string, record: SnapshotRecord, patienceMs?: number): Promise<void> {
    if (this.#making.has(record.id)) {
      throw new DiskferryError(
        'REPOSITORY_NOT_RESPONDING',
        `VM ${vmId}: the files of snapshot ${record.id} were still being made when a repository fell silent, and the kernel has not let go of that yet`,
      )
    }
    await this.assertRemovable(record)
    const roots = rootsOf(record)
    const remove = () => this.removeFolders(record.id, roots, `VM ${vmId}`)
    // A snapshot that was never begun, for want of the locks, must not wait for them again to be forgotten.
    if (!(await this.#isBegun(record.id, roots))) return await remove()
    await this.#watches.call(roots, (either) =>
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
   * @throws as `assertRemovable`
   */
  async removeFolders(id: string, roots: readonly string[], whose: string): Promise<void> {
    try {
      // First in every repository: what is left of a snapshot in one must not look whole when it is half gone in another.
      for (const root of roots) {
        await this.#watches.run([root], () => retireSnapshotFolder(root, id, this.#guard, this.#hold))
        faultPoint('remove.retired')
      }
      for (const root of roots) {
        await this.#watches.run([root], () => removeSnapshotFolder(root, id, this.#guard, this.#hold))
      }
    } catch (error) {
      throw backendFailure(error, 'INTERNAL', `${whose}: the files of snapshot ${id} can't be removed`)
    }
  }

  /** Has it a folder in any of these repositories? */
  async #isBegun(id: string, roots: readonly string[]): Promise<boolean> {
    const found = roots.map((root) =>
      this.#watches.run([root], () => isSnapshotThere(root, id, this.#guard, this.#hold)),
    )
    return (await Promise.all(found)).includes(true)
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
        const clones = this.#cloneAll(tasks, folders, signal)
        cloning = clones
        return untilSilent(clones, signal)
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
      throw backendFailure(error, 'CLONE_FAILED', `VM ${vmId}: the snapshot could not be made`, signal)
    } finally {
      await cloning?.catch(() => undefined)
    }
  }

  async #cloneAll(
    tasks: readonly CloneTask[],
    folders: HeldFolders,
    signal: AbortSignal | undefined,
  ): Promise<readonly Clone[]> {
    const outcomes = await Promise.allSettled(
      tasks.map((task) => {
        const target = join(folders.of(task.record.root), task.record.name)
        return this.#cloneOne(task, target, signal)
      }),
    )
    // Only now is no clone under way any more, and the caller may take the files away.
    return outcomes.map((outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason
      return outcome.value
    })
  }

  /**
   * What is cloned is what was found beneath the repository, and it goes into the folder that is held: a link that is
   * put in the place of either has no effect.
   */
  async #cloneOne({ record, source }: CloneTask, target: string, signal?: AbortSignal): Promise<Clone> {
    const refused = (why: string, cause?: unknown) =>
      new DiskferryError('CLONE_FAILED', `disk ${record.name}: its file '${source.file}' ${why}; try again`, {
        cause,
      })
    let opened: HeldPath
    try {
      opened = await this.#hold(source.root, source.file)
    } catch (error) {
      if (MOVED_CODES.has(systemCode(error) ?? ''))
        throw refused(`is no longer where it was a moment ago: ${describe(error)}`, error)
      throw backendFailure(error, 'CLONE_FAILED', `disk ${record.name}: '${source.file}' can't be opened`)
    }
    await using disk = opened
    if (!disk.stats.isFile()) throw refused('is no longer a regular file')
    const beganMs = performance.now()
    await source.backend.clone(disk.path, target, signal)
    const endedMs = performance.now()
    faultPoint('create.cloned')
    const status = await lstat(target)
    const { size } = status
    if (!Number.isSafeInteger(size)) {
      throw new DiskferryError('CLONE_FAILED', `disk ${record.name} has ${size} bytes, more than 2^53 - 1`)
    }
    // As everybody will find it from now on.
    await using clone = await this.#hold(record.root, record.path)
    if (clone.stats.ino !== status.ino || clone.stats.dev !== status.dev)
      throw refused('was cloned, and the clone is not where it was put')
    const cloneMs = toMicrosecond(endedMs - beganMs)
    const identity = lastingIdentity(clone, source.mount)
    return { beganMs, endedMs, disk: { ...record, size, cloneMs, ...identity } }
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

interface Clone extends CloneSpan {
  readonly disk: DiskRecord
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
