import { backendFailure } from '../backends/backend-failure.ts'
import { faultPoint } from '../fault-points.ts'
import type { HoldBeneath } from '../held-path.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import { ensureStamp } from '../repositories/repository-stamp.ts'
import type { Mount } from '../storage-backend.ts'
import type { CloneTask } from './clone-disk.ts'
import type { SnapshotRecord } from './snapshot-record.ts'

/** A new snapshot before its first file. */
export interface DraftedSnapshot {
  readonly draft: SnapshotRecord
  readonly tasks: readonly CloneTask[]
}

/**
 * Records of each disk the stamp of its repository, which gets one when it has none.
 * @throws REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING, REPOSITORY_FULL, REPOSITORY_READ_ONLY, CLONE_FAILED, ABORTED
 */
export async function stampDraft(
  { draft, tasks }: DraftedSnapshot,
  parts: { readonly guard: MountGuard; readonly hold: HoldBeneath; readonly watches: MountWatches },
  signal?: AbortSignal,
): Promise<DraftedSnapshot> {
  const mounts = new Map(tasks.map(({ source }): [string, Mount] => [source.root, source.mount]))
  const stamps = new Map<string, string>()
  for (const [root, mount] of mounts) {
    const stamp = async () => {
      await using pinned = await parts.guard.pin(root, parts.hold, mount)
      return await ensureStamp(root, pinned)
    }
    try {
      stamps.set(root, await parts.watches.run([root], stamp, signal))
    } catch (error) {
      throw backendFailure(error, 'CLONE_FAILED', `the repository '${root}' can't be given an id`, signal)
    }
  }
  faultPoint('create.stamped')
  const stamped = tasks.map((task) => {
    const repositoryStamp = stamps.get(task.source.root)!
    return { ...task, record: { ...task.record, repositoryStamp } }
  })
  return { tasks: stamped, draft: { ...draft, disks: stamped.map(({ record }) => record) } }
}
