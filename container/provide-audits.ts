import type { DependencyContainer } from 'tsyringe'
import type { Config } from '../config/config.ts'
import { AuditLocks } from '../core/audit/audit-locks.ts'
import { AuditService } from '../core/audit/audit-service.ts'
import { AuditStore } from '../core/audit/audit-store.ts'
import { DistrustedPairs } from '../core/audit/distrusted-pairs.ts'
import type { Log } from '../core/log.ts'
import { MetricRegistry } from '../core/metrics/metrics.ts'
import { addProcessMetrics } from '../core/metrics/process-metrics.ts'
import { MountWatches } from '../core/mounts/mount-watches.ts'
import { MountGuard } from '../core/repositories/mount-guard.ts'
import { DiskMaps } from '../core/snapshots/disk-maps.ts'
import { SnapshotStore } from '../core/snapshots/snapshot-store.ts'
import { AUDITS_NAMESPACE, locksFolder, type OpenedDatabase } from '../core/store/database.ts'
import { acquireFlock, holdBeneath } from '../native/index.ts'
import { provide } from './provide.ts'

export function provideAudits(
  container: DependencyContainer,
  config: Config,
  database: OpenedDatabase,
  logger: Log,
): void {
  const get = container.resolve.bind(container)
  provide(container, AuditStore, () => new AuditStore(database.keyv(AUDITS_NAMESPACE)))
  provide(
    container,
    DistrustedPairs,
    () =>
      new DistrustedPairs({
        store: get(AuditStore),
        guard: get(MountGuard),
        hold: holdBeneath,
        watches: get(MountWatches),
        log: logger,
      }),
  )
  provide(container, MetricRegistry, () => {
    const registry = new MetricRegistry()
    addProcessMetrics(registry)
    return registry
  })
  provide(
    container,
    AuditService,
    () =>
      new AuditService(
        {
          disks: get(DiskMaps),
          watches: get(MountWatches),
          snapshots: get(SnapshotStore),
          store: get(AuditStore),
          distrusted: get(DistrustedPairs),
          registry: get(MetricRegistry),
          log: logger,
          locks: new AuditLocks({ acquire: acquireFlock }, locksFolder(database.file)),
        },
        config.audit,
      ),
  )
}
