import { randomUUID } from 'node:crypto'
import type { VmPlan } from '../vms/vm-catalogue.ts'
import type { CloneTask } from './clone-disk.ts'
import { clonePath } from './snapshot-files.ts'
import type { VmRecord } from './snapshot-record.ts'
import type { DraftedSnapshot } from './stamp-draft.ts'

/** The record that is written before the first file of a new snapshot, and what is to be cloned for it. */
export function draftSnapshot(plan: VmPlan, before: VmRecord): DraftedSnapshot {
  const id = randomUUID()
  const tasks: CloneTask[] = []
  for (const { view, source } of plan.disks) {
    if (source === undefined) continue
    const record = {
      name: view.name,
      parentPath: view.path,
      path: clonePath(source, id, view.name),
      repositoryId: source.repositoryId,
      repositoryMountPoint: source.repositoryMountPoint,
      root: source.root,
      size: view.size ?? 0,
      backend: source.backend.manifest.name,
    }
    tasks.push({ record, source })
  }
  // A clock that jumps back must not put a newer snapshot before an older one.
  const last = before.snapshots.at(-1)
  const createdAt = new Date(Math.max(Date.now(), last === undefined ? 0 : Date.parse(last.createdAt) + 1))
  return {
    tasks,
    draft: {
      id,
      state: 'creating',
      createdAt: createdAt.toISOString(),
      vmUuid: plan.vm.uuid,
      vmFriendlyName: plan.vm.friendlyName,
      disks: tasks.map(({ record }) => record),
    },
  }
}
