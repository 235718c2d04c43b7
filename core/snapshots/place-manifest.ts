import { join } from 'node:path'
import type { Repository } from '../inventory.ts'
import type { MountedRepository } from '../repositories/mounted-repository.ts'
import type { Manifest } from './read-manifest.ts'
import { snapshotFolder } from './snapshot-folder.ts'
import type { SnapshotRecord } from './snapshot-record.ts'

/** The record that a manifest stands for, or why there can be none now. */
export type Placement =
  | { readonly record: SnapshotRecord }
  | { readonly notMounted: Repository }
  | { readonly refused: string }

/**
 * Says where the disks of a manifest lie: in the snapshot's own folder of the repository that each names, whatever path
 * the manifest has for it. A repository that the inventory does not have is taken for the one that the manifest lies in.
 */
export function placeManifest(
  manifest: Manifest,
  found: MountedRepository,
  repositories: readonly Repository[],
  mounted: readonly MountedRepository[],
): Placement {
  const disks: SnapshotRecord['disks'][number][] = []
  for (const disk of manifest.disks) {
    const { name, repositoryId } = disk
    const known = repositories.find(({ id }) => id === repositoryId)
    const home =
      known === undefined ? found : mounted.find(({ repository }) => repository.id === repositoryId)
    if (home === undefined) return { notMounted: known! }
    const { repository, root, stamp } = home
    disks.push({
      ...disk,
      path: join(snapshotFolder(root, manifest.id), name),
      repositoryId: repository.id,
      repositoryMountPoint: repository.mountPoint,
      root,
      ...(stamp !== undefined && { repositoryStamp: stamp }),
    })
  }
  if (!disks.some(({ root }) => root === found.root)) {
    return { refused: `snapshot.json: names no disk of the repository '${found.root}' that it lies in` }
  }
  const { vmId: _, ...lasting } = manifest
  return { record: { ...lasting, state: 'ready', disks } }
}
