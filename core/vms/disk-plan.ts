import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { type DiskferryError, describe, systemCode } from '../errors.ts'
import type { VmDisk } from '../inventory.ts'
import { isNotResponding } from '../mounts/not-responding.ts'
import type { PathResolver } from '../mounts/path-resolver.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import { isInside, longestParent, SNAPSHOTS_FOLDER } from '../repositories/paths.ts'
import type { ResolvedRepository } from '../repositories/repository-catalogue.ts'
import type { DiskView } from '../services.ts'
import type { Mount, StorageBackend } from '../storage-backend.ts'

/** What a disk needs to be cloned. */
export interface CloneSource {
  /** The disk's file, without links. */
  readonly file: string
  readonly repositoryId: string
  readonly repositoryMountPoint: string
  /** The repository's folder, without links. */
  readonly root: string
  readonly mount: Mount
  readonly backend: StorageBackend
}

export interface DiskPlan {
  readonly view: DiskView
  /** Stands in the way of a snapshot: a disk that the VM writes and that can't be cloned. */
  readonly blocks: boolean
  /** REPOSITORY_NOT_RESPONDING, REPOSITORY_FULL or REPOSITORY_READ_ONLY, where that is why it stands in the way. */
  readonly refusal?: DiskferryError
  /** Only for a disk that is to be cloned. */
  readonly source?: CloneSource
}

export interface DiskSurroundings {
  readonly repositories: readonly ResolvedRepository[]
  readonly guard: MountGuard
  readonly resolver: PathResolver
}

/** Looks at the file behind a disk line and says whether, and how, it can be cloned. */
export async function planDisk(
  disk: VmDisk,
  name: string,
  { repositories, guard, resolver }: DiskSurroundings,
): Promise<DiskPlan> {
  const { path, mode, scheme } = disk
  // As in vm.cfg: clients of the ancestor tell a CD-ROM by it.
  const deviceName = disk.cdrom ? `${disk.deviceName}:cdrom` : disk.deviceName
  const view = { name, path, deviceName, mode, compatible: false, size: null, backend: null }
  const readOnly = disk.cdrom ? 'a CD-ROM' : mode === 'r' ? 'read-only' : undefined
  if (readOnly !== undefined) {
    return {
      view: { ...view, incompatibleReason: `${readOnly}: the VM does not write it, it is not cloned` },
      blocks: false,
    }
  }
  const blocked = (
    incompatibleReason: string,
    known: Partial<DiskView> = {},
    refusal?: DiskferryError,
  ): DiskPlan => ({
    view: { ...view, ...known, incompatibleReason },
    blocks: true,
    ...(refusal !== undefined && { refusal }),
  })
  if (scheme !== 'file') {
    return blocked(`a ${scheme}: disk is not a file in a repository; a snapshot without it would lack a disk`)
  }

  let file: string
  let size: number
  try {
    file = await resolver.resolve(path)
    const status = await resolver.call(file, () => lstat(file))
    if (!status.isFile()) return blocked(`'${file}' is not a regular file`)
    size = status.size
  } catch (error) {
    if (isNotResponding(error)) return blocked(error.message, {}, error)
    if (systemCode(error) === 'ENOENT') return blocked(`its file '${path}' is missing`)
    return blocked(`its file '${path}' can't be looked at: ${describe(error)}`)
  }

  const inside = repositories.filter((resolved) => resolved.root !== null)
  const home = longestParent(inside, (resolved) => resolved.root!, file)
  if (home === undefined || home.root === null)
    return blocked(`'${file}' lies outside every repository`, { size })
  if (home.mount === null || home.backend === null) {
    return blocked(
      `its repository '${home.repository.mountPoint}' can't be used: ${home.reasons.join('; ')}`,
      { size },
      home.refusal,
    )
  }
  const backend = home.backend.manifest.name
  if (isInside(join(home.root, SNAPSHOTS_FOLDER), file)) {
    return blocked(`'${file}' lies in the folder of the snapshots, which a VM must not write`, {
      size,
      backend,
    })
  }
  const holding = await guard.holding(file)
  if (holding?.mountId !== home.mount.mountId) {
    return blocked(`'${file}' lies on another filesystem that is mounted inside the repository`, {
      size,
      backend,
    })
  }
  return {
    view: { ...view, compatible: true, size, backend },
    blocks: false,
    source: {
      file,
      repositoryId: home.repository.id,
      repositoryMountPoint: home.repository.mountPoint,
      root: home.root,
      mount: home.mount,
      backend: home.backend,
    },
  }
}
