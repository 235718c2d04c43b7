import { open } from 'node:fs/promises'
import { join } from 'node:path'
import btrfs from '../../backends/btrfs/index.ts'
import xfs from '../../backends/xfs/index.ts'
import { BackendRegistry } from '../../core/backends/backend-registry.ts'
import type { Log } from '../../core/log.ts'
import { MountGuard } from '../../core/repositories/mount-guard.ts'
import { RepositoryCatalogue } from '../../core/repositories/repository-catalogue.ts'
import { DiskMaps } from '../../core/snapshots/disk-maps.ts'
import { SnapshotFiles } from '../../core/snapshots/snapshot-files.ts'
import { SnapshotJournal } from '../../core/snapshots/snapshot-journal.ts'
import { SnapshotMaps } from '../../core/snapshots/snapshot-maps.ts'
import { SnapshotService, storedSnapshotIds } from '../../core/snapshots/snapshot-service.ts'
import { SnapshotStore } from '../../core/snapshots/snapshot-store.ts'
import { VmLocks } from '../../core/snapshots/vm-locks.ts'
import { openDatabase, VMS_NAMESPACE } from '../../core/store/database.ts'
import { VmCatalogue } from '../../core/vms/vm-catalogue.ts'
import { StaticInventory } from '../../inventory/static/static-inventory.ts'
import { acquireFlock, readMounts } from '../../native/index.ts'
import { makeWatches } from './watches.ts'

export interface TestVm {
  readonly name: string
  /** Paths; a scheme other than `file:` may stand in front. */
  readonly disks: readonly string[]
}

export interface CoreOptions {
  /** Mount points; each is a repository. */
  readonly mounts: readonly string[]
  readonly vms: readonly TestVm[]
  readonly dbFile: string
  readonly lockPatienceMs?: number
  readonly backends?: readonly unknown[]
  readonly requireMountPoint?: boolean
}

export type TestCore = Awaited<ReturnType<typeof makeCore>>

const SILENT: Log = { info: () => undefined, warn: () => undefined, error: () => undefined }

/** The real core on real mounts, without configuration and API. */
export async function makeCore(options: CoreOptions) {
  const registry = new BackendRegistry()
  for (const backend of options.backends ?? [xfs(), btrfs()]) registry.register(backend, 'test')
  const database = await openDatabase(options.dbFile, () => undefined)
  const inventory = new StaticInventory({
    repositories: options.mounts.map((mountPoint, index) => ({ id: `repository-${index}`, mountPoint })),
    vms: options.vms.map(({ name, disks }) => ({
      name,
      uuid: '0004fb00-0006-0000-0000-000000000001',
      friendlyName: name,
      disks: disks.map((path, index) => ({
        path,
        deviceName: `xvd${'abcdefgh'[index]}`,
        mode: 'w' as const,
      })),
    })),
  })
  const guard = new MountGuard({ list: readMounts }, options.requireMountPoint ?? true)
  const store = new SnapshotStore(database.keyv(VMS_NAMESPACE))
  const locks = new VmLocks(
    { acquire: acquireFlock },
    `${options.dbFile}.locks`,
    options.lockPatienceMs ?? 30_000,
  )
  const watches = makeWatches()
  const repositories = new RepositoryCatalogue(inventory, registry, guard, watches)
  const vms = new VmCatalogue(inventory, repositories, guard, watches, storedSnapshotIds(store))
  const files = new SnapshotFiles(guard, watches)
  const journal = new SnapshotJournal(store, files, locks, SILENT)
  const disks = new DiskMaps(registry, guard, watches)
  const maps = new SnapshotMaps(disks)
  const snapshots = new SnapshotService({ vms, store, journal, files, locks, disks, maps })
  return {
    repositories,
    vms,
    store,
    journal,
    locks,
    snapshots,
    [Symbol.asyncDispose]: () => database.close(),
  }
}

/** Makes a disk file with the given bytes at the given places; sparse in between. */
export async function makeDisk(
  folder: string,
  name: string,
  size: number,
  parts: readonly (readonly [start: number, bytes: Buffer])[] = [],
): Promise<string> {
  const path = join(folder, name)
  await using handle = await open(path, 'w')
  await handle.truncate(size)
  for (const [start, bytes] of parts) await handle.write(bytes, 0, bytes.length, start)
  return path
}

export async function writeAt(path: string, start: number, bytes: Buffer): Promise<void> {
  await using handle = await open(path, 'r+')
  await handle.write(bytes, 0, bytes.length, start)
}
