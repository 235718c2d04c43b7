import { open } from 'node:fs/promises'
import { join } from 'node:path'
import btrfs from '../../backends/btrfs/index.ts'
import xfs from '../../backends/xfs/index.ts'
import { AuditLocks } from '../../core/audit/audit-locks.ts'
import { type AuditLimits, AuditService } from '../../core/audit/audit-service.ts'
import { AuditStore } from '../../core/audit/audit-store.ts'
import { DistrustedPairs } from '../../core/audit/distrusted-pairs.ts'
import { AuditTrail } from '../../core/audit-trail.ts'
import { BackendRegistry } from '../../core/backends/backend-registry.ts'
import { Quiesce, type QuiesceOptions } from '../../core/consistency/quiesce.ts'
import { StallForecast, type StallForecastOptions } from '../../core/consistency/stall-forecast.ts'
import { type Clock, systemClock } from '../../core/leases/lease-clock.ts'
import { LeaseService } from '../../core/leases/lease-service.ts'
import type { Log } from '../../core/log.ts'
import { MetricRegistry } from '../../core/metrics/metrics.ts'
import type { MountTable } from '../../core/mount-table.ts'
import type { MountWatches } from '../../core/mounts/mount-watches.ts'
import { MountGuard } from '../../core/repositories/mount-guard.ts'
import { RepositoryCatalogue } from '../../core/repositories/repository-catalogue.ts'
import { type RetentionOptions, RetentionService } from '../../core/retention/retention-service.ts'
import { DiskMaps } from '../../core/snapshots/disk-maps.ts'
import { Orphans } from '../../core/snapshots/orphans.ts'
import { PlainAdoption } from '../../core/snapshots/plain-adoption.ts'
import { RepositoryChanges } from '../../core/snapshots/repository-changes.ts'
import { RepositoryLocks } from '../../core/snapshots/repository-locks.ts'
import { SnapshotFiles } from '../../core/snapshots/snapshot-files.ts'
import { SnapshotJournal } from '../../core/snapshots/snapshot-journal.ts'
import { SnapshotMaps } from '../../core/snapshots/snapshot-maps.ts'
import { SnapshotService, storedSnapshotIds } from '../../core/snapshots/snapshot-service.ts'
import { SnapshotStore } from '../../core/snapshots/snapshot-store.ts'
import { VmLocks } from '../../core/snapshots/vm-locks.ts'
import { AUDITS_NAMESPACE, openDatabase, VMS_NAMESPACE } from '../../core/store/database.ts'
import { VmCatalogue } from '../../core/vms/vm-catalogue.ts'
import { StaticInventory } from '../../inventory/static/static-inventory.ts'
import { acquireFlock, holdBeneath, readMounts } from '../../native/index.ts'
import { SILENT } from './silent-log.ts'
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
  readonly repositoryLockPatienceMs?: number
  readonly backends?: readonly unknown[]
  readonly requireMountPoint?: boolean
  readonly auditLimits?: Partial<AuditLimits>
  readonly clock?: Clock
  readonly retention?: Partial<RetentionOptions>
  readonly quiesce?: Partial<QuiesceOptions>
  readonly forecast?: Partial<StallForecastOptions>
  readonly log?: Log
  readonly watches?: MountWatches
  /** Asked for each thing that is done in a repository. */
  readonly mountTable?: MountTable
}

export type TestCore = Awaited<ReturnType<typeof makeCore>>

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
  const guard = new MountGuard(options.mountTable ?? { list: readMounts }, options.requireMountPoint ?? true)
  const store = new SnapshotStore(database.keyv(VMS_NAMESPACE))
  const locks = new VmLocks(
    { acquire: acquireFlock },
    `${options.dbFile}.locks`,
    options.lockPatienceMs ?? 30_000,
  )
  const watches = options.watches ?? makeWatches()
  const repositories = new RepositoryCatalogue(inventory, registry, guard, holdBeneath, watches)
  const vms = new VmCatalogue(inventory, repositories, guard, watches, storedSnapshotIds(store))
  const log = options.log ?? SILENT
  const quiesce = new Quiesce({ timeoutMs: 30_000, required: false, ...options.quiesce }, log)
  const repositoryLocks = new RepositoryLocks(
    { locks: { acquire: acquireFlock }, guard, hold: holdBeneath, log },
    options.repositoryLockPatienceMs ?? 30_000,
  )
  const files = new SnapshotFiles(guard, holdBeneath, watches, quiesce, repositoryLocks)
  const changes = new RepositoryChanges(watches, repositoryLocks)
  const journal = new SnapshotJournal(store, files, locks, log, quiesce, changes)
  const disks = new DiskMaps(registry, guard, holdBeneath, watches)
  const clock = options.clock ?? systemClock
  const maps = new SnapshotMaps(disks, clock)
  const leases = new LeaseService({ store, locks, changes, guard, hold: holdBeneath, watches, clock, log })
  const retention = new RetentionService(
    { store, locks, journal, leases, disks, clock, log, trail: new AuditTrail(log) },
    { intervalMs: 3_600_000, ...options.retention },
  )
  const auditStore = new AuditStore(database.keyv(AUDITS_NAMESPACE))
  const distrusted = new DistrustedPairs({ store: auditStore, guard, hold: holdBeneath, watches, log })
  const snapshots = new SnapshotService({
    vms,
    store,
    journal,
    files,
    locks,
    disks,
    maps,
    forecast: new StallForecast({ onLongStall: 'refuse', ...options.forecast }, log, holdBeneath),
    leases,
    retention,
    watches,
    distrusted,
  })
  const plain = new PlainAdoption(repositories, store, watches, holdBeneath)
  const orphans = new Orphans({
    inventory,
    guard,
    watches,
    hold: holdBeneath,
    store,
    locks,
    changes,
    files,
    plain,
    clock,
  })
  const metrics = new MetricRegistry()
  const audits = new AuditService(
    {
      disks,
      watches,
      snapshots: store,
      store: auditStore,
      distrusted,
      registry: metrics,
      log,
      locks: new AuditLocks({ acquire: acquireFlock }, `${options.dbFile}.locks`),
    },
    { rate: 2 ** 40, concurrent: 2, ...options.auditLimits },
  )
  let closed = false
  return {
    repositories,
    vms,
    store,
    journal,
    files,
    locks,
    repositoryLocks,
    changes,
    leases,
    retention,
    snapshots,
    orphans,
    audits,
    auditStore,
    metrics,
    /** Can be called early, to start another one on the same database. */
    async [Symbol.asyncDispose]() {
      if (closed) return
      closed = true
      await audits.stop()
      await retention.stop()
      await journal.stop()
      await database.close()
    },
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
