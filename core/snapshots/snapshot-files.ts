import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { backendFailure } from '../backends/backend-failure.ts'
import { type CloneSpan, skewOf, stallOf, toMicrosecond } from '../consistency/clone-spans.ts'
import type { HookSubject } from '../consistency/hook-arguments.ts'
import type { Quiesce } from '../consistency/quiesce.ts'
import { DiskferryError } from '../errors.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import type { CloneSource } from '../vms/disk-plan.ts'
import { makeSnapshotFolder, removeSnapshotFolder, snapshotFolder, syncFolder } from './snapshot-folder.ts'
import { writeManifest } from './snapshot-manifest.ts'
import type { DiskRecord, SnapshotRecord } from './snapshot-record.ts'

/** A disk that is to be cloned, with the record that is written before it is. */
export interface CloneTask {
  readonly record: DiskRecord
  readonly source: CloneSource
}

/** Makes and removes the files of whole snapshots. */
export class SnapshotFiles {
  readonly #guard: MountGuard
  readonly #quiesce: Quiesce

  constructor(guard: MountGuard, quiesce: Quiesce) {
    this.#guard = guard
    this.#quiesce = quiesce
  }

  /**
   * Clones every disk, all at once so that they are as close in time as can be, with the guest at rest where there are
   * hooks for that, writes `snapshot.json` beside them and syncs the folders. After an error there may be files: `remove` takes them away.
   *
   * @returns the record with the sizes that the clones really have
   * @throws REPOSITORY_NOT_MOUNTED, REPOSITORY_FULL, REPOSITORY_READ_ONLY, QUIESCE_FAILED, CLONE_FAILED, ABORTED
   */
  async make(
    vmId: string,
    draft: SnapshotRecord,
    tasks: readonly CloneTask[],
    signal?: AbortSignal,
  ): Promise<SnapshotRecord> {
    await using pins = new AsyncDisposableList()
    try {
      for (const [root, { source }] of firstTaskByRoot(tasks)) {
        pins.add(await makeSnapshotFolder(root, draft.id, source.mount, this.#guard))
      }
      const work = () => cloneAll(tasks, signal)
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
        const folder = snapshotFolder(root, draft.id)
        await writeManifest(folder, vmId, made)
        await syncFolder(folder)
        await syncFolder(dirname(folder))
      }
      return made
    } catch (error) {
      throw backendFailure(error, 'CLONE_FAILED', `VM ${vmId}: the snapshot could not be made`, signal)
    }
  }

  /** Before anything is changed. @throws REPOSITORY_NOT_MOUNTED, REPOSITORY_READ_ONLY */
  async assertRemovable(record: SnapshotRecord): Promise<void> {
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

  /** Removes all files of a snapshot, as far as they are there. @throws REPOSITORY_NOT_MOUNTED, REPOSITORY_READ_ONLY */
  async remove(vmId: string, record: SnapshotRecord): Promise<void> {
    await this.assertRemovable(record)
    for (const root of rootsOf(record)) {
      try {
        await removeSnapshotFolder(root, record.id, this.#guard)
      } catch (error) {
        throw backendFailure(
          error,
          'INTERNAL',
          `VM ${vmId}: the files of snapshot ${record.id} can't be removed`,
        )
      }
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

interface Clone extends CloneSpan {
  readonly disk: DiskRecord
}

async function cloneAll(
  tasks: readonly CloneTask[],
  signal: AbortSignal | undefined,
): Promise<readonly Clone[]> {
  const outcomes = await Promise.allSettled(
    tasks.map(async ({ record, source }): Promise<Clone> => {
      const beganMs = performance.now()
      await source.backend.clone(source.file, record.path, signal)
      const endedMs = performance.now()
      const { size } = await stat(record.path)
      if (!Number.isSafeInteger(size)) {
        throw new DiskferryError('CLONE_FAILED', `disk ${record.name} has ${size} bytes, more than 2^53 - 1`)
      }
      return { beganMs, endedMs, disk: { ...record, size, cloneMs: toMicrosecond(endedMs - beganMs) } }
    }),
  )
  // Only now is no clone under way any more, and the caller may take the files away.
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  })
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

/** The part of AsyncDisposableStack that we need; Node 20 has none. */
class AsyncDisposableList implements AsyncDisposable {
  readonly #items: AsyncDisposable[] = []

  add(item: AsyncDisposable): void {
    this.#items.push(item)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const item of this.#items.reverse()) await item[Symbol.asyncDispose]()
  }
}
