import { randomUUID } from 'node:crypto'
import { DiskferryError, describe } from '../errors.ts'
import type { VmPlan } from '../vms/vm-catalogue.ts'
import type { CloneTask } from './clone-disk.ts'
import { checkManifest } from './read-manifest.ts'
import { clonePath } from './snapshot-files.ts'
import { manifestOf } from './snapshot-manifest.ts'
import type { SnapshotRecord, VmRecord } from './snapshot-record.ts'
import type { DraftedSnapshot } from './stamp-draft.ts'

/**
 * The record that is written before the first file of a new snapshot, and what is to be cloned for it.
 * @throws VM_NOT_COMPATIBLE for names that can't be read again from a `snapshot.json`
 */
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
  const draft: SnapshotRecord = {
    id,
    state: 'creating',
    createdAt: createdAt.toISOString(),
    vmUuid: plan.vm.uuid,
    vmFriendlyName: plan.vm.friendlyName,
    disks: tasks.map(({ record }) => record),
  }
  assertLegible(before.vmId, draft)
  return { tasks, draft }
}

/** A snapshot whose `snapshot.json` nobody believes would be refused as damaged, and lost with the database. */
function assertLegible(vmId: string, draft: SnapshotRecord): void {
  try {
    checkManifest(manifestOf(vmId, draft), draft.id)
  } catch (error) {
    throw new DiskferryError(
      'VM_NOT_COMPATIBLE',
      `no snapshot of VM ${JSON.stringify(vmId)} can be taken, its snapshot.json ${describe(error)}: rename what is called so`,
      { cause: error },
    )
  }
}
