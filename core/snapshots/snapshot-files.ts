import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { backendFailure } from '../backends/backend-failure.ts'
import { DiskferryError } from '../errors.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
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
  readonly #watches: MountWatches
  /** Ids of snapshots whose files are being made, also when nobody waits for them any more. */
  readonly #making = new Set<string>()

  constructor(guard: MountGuard, watches: MountWatches) {
    this.#guard = guard
    this.#watches = watches
  }

  /**
   * Clones every disk, all at once so that they are as close in time as can be, writes `snapshot.json` beside them and
   * syncs the folders. After an error there may be files: `remove` takes them away.
   *
   * @returns the record with the sizes that the clones really have
   * @throws REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING, REPOSITORY_FULL, REPOSITORY_READ_ONLY, CLONE_FAILED,
   * ABORTED
   */
  make(
    vmId: string,
    draft: SnapshotRecord,
    tasks: readonly CloneTask[],
    signal?: AbortSignal,
  ): Promise<SnapshotRecord> {
    return this.#watches.run(
      rootsOf(draft),
      async (either) => {
        this.#making.add(draft.id)
        try {
          return await this.#make(vmId, draft, tasks, either)
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

  /** Removes all files of a snapshot, as far as they are there. @throws as `assertRemovable` */
  async remove(vmId: string, record: SnapshotRecord): Promise<void> {
    if (this.#making.has(record.id)) {
      throw new DiskferryError(
        'REPOSITORY_NOT_RESPONDING',
        `VM ${vmId}: the files of snapshot ${record.id} were still being made when a repository fell silent, and the kernel has not let go of that yet`,
      )
    }
    await this.assertRemovable(record)
    for (const root of rootsOf(record)) {
      try {
        await this.#watches.run([root], () => removeSnapshotFolder(root, record.id, this.#guard))
      } catch (error) {
        throw backendFailure(
          error,
          'INTERNAL',
          `VM ${vmId}: the files of snapshot ${record.id} can't be removed`,
        )
      }
    }
  }

  async #make(
    vmId: string,
    draft: SnapshotRecord,
    tasks: readonly CloneTask[],
    signal: AbortSignal,
  ): Promise<SnapshotRecord> {
    await using pins = new AsyncDisposableList()
    try {
      for (const [root, { source }] of firstTaskByRoot(tasks)) {
        pins.add(await makeSnapshotFolder(root, draft.id, source.mount, this.#guard))
      }
      const disks = await cloneAll(tasks, signal)
      const made: SnapshotRecord = { ...draft, state: 'ready', disks }
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
}

/** Where the clone of a disk goes. */
export function clonePath(source: CloneSource, snapshotId: string, diskName: string): string {
  return join(snapshotFolder(source.root, snapshotId), diskName)
}

async function cloneAll(
  tasks: readonly CloneTask[],
  signal: AbortSignal | undefined,
): Promise<readonly DiskRecord[]> {
  const outcomes = await Promise.allSettled(
    tasks.map(async ({ record, source }): Promise<DiskRecord> => {
      await source.backend.clone(source.file, record.path, signal)
      const { size } = await stat(record.path)
      if (!Number.isSafeInteger(size)) {
        throw new DiskferryError('CLONE_FAILED', `disk ${record.name} has ${size} bytes, more than 2^53 - 1`)
      }
      return { ...record, size }
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

function rootsOf(record: SnapshotRecord): readonly string[] {
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
