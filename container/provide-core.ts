import type { DependencyContainer, InjectionToken } from 'tsyringe'
import type { Config } from '../config/config.ts'
import { DistrustedPairs } from '../core/audit/distrusted-pairs.ts'
import { AuditTrail } from '../core/audit-trail.ts'
import { BackendRegistry } from '../core/backends/backend-registry.ts'
import { Quiesce } from '../core/consistency/quiesce.ts'
import { StallForecast } from '../core/consistency/stall-forecast.ts'
import type { Inventory } from '../core/inventory.ts'
import { systemClock } from '../core/leases/lease-clock.ts'
import { LeaseService } from '../core/leases/lease-service.ts'
import type { Log } from '../core/log.ts'
import { MountWatches } from '../core/mounts/mount-watches.ts'
import { MountGuard } from '../core/repositories/mount-guard.ts'
import { RepositoryCatalogue } from '../core/repositories/repository-catalogue.ts'
import { RetentionService } from '../core/retention/retention-service.ts'
import type { Readiness } from '../core/services.ts'
import { SharedReadiness } from '../core/shared-probes.ts'
import { DiskMaps } from '../core/snapshots/disk-maps.ts'
import { IndexRebuilder } from '../core/snapshots/index-rebuilder.ts'
import { Orphans } from '../core/snapshots/orphans.ts'
import { PlainAdoption } from '../core/snapshots/plain-adoption.ts'
import { RepositoryChanges } from '../core/snapshots/repository-changes.ts'
import { RepositoryLocks } from '../core/snapshots/repository-locks.ts'
import { SnapshotFiles } from '../core/snapshots/snapshot-files.ts'
import { SnapshotJournal } from '../core/snapshots/snapshot-journal.ts'
import { SnapshotMaps } from '../core/snapshots/snapshot-maps.ts'
import { SnapshotService, storedSnapshotIds } from '../core/snapshots/snapshot-service.ts'
import { SnapshotStore } from '../core/snapshots/snapshot-store.ts'
import { VmLocks } from '../core/snapshots/vm-locks.ts'
import { INDEX_NAMESPACE, locksFolder, type OpenedDatabase, VMS_NAMESPACE } from '../core/store/database.ts'
import { VmCatalogue } from '../core/vms/vm-catalogue.ts'
import { OvsAgentInventory } from '../inventory/ovs-agent/ovs-agent-inventory.ts'
import { StaticInventory } from '../inventory/static/static-inventory.ts'
import { acquireFlock, filesystemStatus, holdBeneath, readMounts } from '../native/index.ts'
import { provide } from './provide.ts'

/** How long a request waits for each of a VM's locks before it is told that the VM is busy. */
const LOCK_PATIENCE_MS = 60_000

const INVENTORY: InjectionToken<Inventory> = Symbol('Inventory')
export const READINESS: InjectionToken<Readiness> = Symbol('Readiness')

/**
 * What works on repositories and snapshots; the audits' store is provided with the audits, the audit trail before.
 *
 * @param onRecovered told when a repository that was silent answers again
 */
export function provideCore(
  container: DependencyContainer,
  config: Config,
  database: OpenedDatabase,
  logger: Log,
  onRecovered?: () => void,
): void {
  const get = container.resolve.bind(container)
  provide(container, INVENTORY, () => inventory(config, get(MountWatches)))
  provide(
    container,
    MountGuard,
    () => new MountGuard({ list: readMounts }, config.inventory.requireMountPoint),
  )
  provide(
    container,
    MountWatches,
    () =>
      new MountWatches(
        { list: readMounts },
        {
          patienceMs: config.inventory.answerWithinMs,
          ask: filesystemStatus,
          log: logger,
          ...(onRecovered !== undefined && { onRecovered }),
        },
      ),
  )
  provide(container, SnapshotStore, () => new SnapshotStore(database.keyv(VMS_NAMESPACE)))
  provide(
    container,
    VmLocks,
    () => new VmLocks({ acquire: acquireFlock }, locksFolder(database.file), LOCK_PATIENCE_MS),
  )
  provide(
    container,
    RepositoryCatalogue,
    () =>
      new RepositoryCatalogue(
        get(INVENTORY),
        get(BackendRegistry),
        get(MountGuard),
        holdBeneath,
        get(MountWatches),
      ),
  )
  provide(
    container,
    VmCatalogue,
    () =>
      new VmCatalogue(
        get(INVENTORY),
        get(RepositoryCatalogue),
        get(MountGuard),
        get(MountWatches),
        storedSnapshotIds(get(SnapshotStore)),
      ),
  )
  provide(container, Quiesce, () => new Quiesce(config.quiesce, logger))
  provide(
    container,
    RepositoryLocks,
    () =>
      new RepositoryLocks(
        { locks: { acquire: acquireFlock }, guard: get(MountGuard), hold: holdBeneath, log: logger },
        LOCK_PATIENCE_MS,
      ),
  )
  provide(container, RepositoryChanges, () => new RepositoryChanges(get(MountWatches), get(RepositoryLocks)))
  provide(
    container,
    SnapshotFiles,
    () =>
      new SnapshotFiles(get(MountGuard), holdBeneath, get(MountWatches), get(Quiesce), get(RepositoryLocks)),
  )
  provide(
    container,
    SnapshotJournal,
    () =>
      new SnapshotJournal(
        get(SnapshotStore),
        get(SnapshotFiles),
        get(VmLocks),
        logger,
        get(Quiesce),
        get(RepositoryChanges),
      ),
  )
  provide(
    container,
    IndexRebuilder,
    () =>
      new IndexRebuilder({
        inventory: get(INVENTORY),
        guard: get(MountGuard),
        watches: get(MountWatches),
        hold: holdBeneath,
        store: get(SnapshotStore),
        locks: get(VmLocks),
        changes: get(RepositoryChanges),
        marks: database.keyv(INDEX_NAMESPACE),
        log: logger,
      }),
  )
  provide(
    container,
    Orphans,
    () =>
      new Orphans({
        inventory: get(INVENTORY),
        guard: get(MountGuard),
        watches: get(MountWatches),
        hold: holdBeneath,
        store: get(SnapshotStore),
        locks: get(VmLocks),
        changes: get(RepositoryChanges),
        files: get(SnapshotFiles),
        plain: new PlainAdoption(
          get(RepositoryCatalogue),
          get(SnapshotStore),
          get(MountWatches),
          holdBeneath,
        ),
        clock: systemClock,
      }),
  )
  provide(
    container,
    DiskMaps,
    () => new DiskMaps(get(BackendRegistry), get(MountGuard), holdBeneath, get(MountWatches)),
  )
  provide(
    container,
    LeaseService,
    () =>
      new LeaseService({
        store: get(SnapshotStore),
        locks: get(VmLocks),
        changes: get(RepositoryChanges),
        guard: get(MountGuard),
        hold: holdBeneath,
        watches: get(MountWatches),
        clock: systemClock,
        log: logger,
      }),
  )
  provide(
    container,
    RetentionService,
    () =>
      new RetentionService(
        {
          store: get(SnapshotStore),
          locks: get(VmLocks),
          journal: get(SnapshotJournal),
          leases: get(LeaseService),
          disks: get(DiskMaps),
          clock: systemClock,
          log: logger,
          trail: get(AuditTrail),
        },
        config.retention,
      ),
  )
  provide(
    container,
    SnapshotService,
    () =>
      new SnapshotService({
        vms: get(VmCatalogue),
        store: get(SnapshotStore),
        journal: get(SnapshotJournal),
        files: get(SnapshotFiles),
        locks: get(VmLocks),
        disks: get(DiskMaps),
        maps: new SnapshotMaps(get(DiskMaps)),
        distrusted: get(DistrustedPairs),
        forecast: new StallForecast(config.quiesce, logger, holdBeneath),
        leases: get(LeaseService),
        retention: get(RetentionService),
        watches: get(MountWatches),
      }),
  )
  provide(container, READINESS, () => new SharedReadiness(get(SnapshotStore), get(INVENTORY)))
}

function inventory(config: Config, watches: MountWatches): Inventory {
  return config.inventory.source === 'static'
    ? new StaticInventory(config.static)
    : new OvsAgentInventory({ agentDbDir: config.ovm.agentDbDir, hold: holdBeneath, watches })
}
