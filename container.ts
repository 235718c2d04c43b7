import 'reflect-metadata'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { type InjectionToken, container as root } from 'tsyringe'
import { buildApp } from './api/app.ts'
import { auditTrail } from './api/audit-log.ts'
import { replaceCertificates } from './api/replace-certificates.ts'
import { checkTlsFiles } from './config/check-tls-files.ts'
import type { Config } from './config/config.ts'
import { loadBackends } from './container/load-backends.ts'
import { makeAuthenticator } from './container/make-authenticator.ts'
import { provide } from './container/provide.ts'
import { provideAudits } from './container/provide-audits.ts'
import { provideCore, READINESS } from './container/provide-core.ts'
import { readTls } from './container/read-tls.ts'
import { AuditService } from './core/audit/audit-service.ts'
import { AuditTrail } from './core/audit-trail.ts'
import { BackendRegistry } from './core/backends/backend-registry.ts'
import { LeaseService } from './core/leases/lease-service.ts'
import type { Log } from './core/log.ts'
import { MetricRegistry } from './core/metrics/metrics.ts'
import { MountWatches } from './core/mounts/mount-watches.ts'
import { RepositoryCatalogue } from './core/repositories/repository-catalogue.ts'
import { RetentionService } from './core/retention/retention-service.ts'
import type { Authenticator } from './core/services.ts'
import { SharedMetrics } from './core/shared-probes.ts'
import { DiskMaps } from './core/snapshots/disk-maps.ts'
import { IndexRebuilder } from './core/snapshots/index-rebuilder.ts'
import { Orphans } from './core/snapshots/orphans.ts'
import { SnapshotJournal } from './core/snapshots/snapshot-journal.ts'
import { SnapshotService } from './core/snapshots/snapshot-service.ts'
import { SnapshotStore } from './core/snapshots/snapshot-store.ts'
import { type OpenedDatabase, openDatabase } from './core/store/database.ts'
import { VmCatalogue } from './core/vms/vm-catalogue.ts'
import { acquireFlock } from './native/index.ts'

const AUTHENTICATOR: InjectionToken<Authenticator> = Symbol('Authenticator')

export interface Server {
  /** Ready, but not listening. */
  readonly app: FastifyInstance
  readonly journal: SnapshotJournal
  readonly index: IndexRebuilder
  readonly repositories: RepositoryCatalogue
  readonly audits: AuditService
  /** Not started. */
  readonly retention: RetentionService
  /** The database in use; beside the configured one where that is the ancestor's. */
  readonly databaseFile: string
  readonly watches: MountWatches
  /**
   * Shows the certificates that are in the configured files now from the next connection on.
   *
   * @returns warnings about them
   * @throws CONFIG_INVALID, or node's error, for files that can't be used; those of before stay in use
   */
  reloadCertificates(): Promise<readonly string[]>
  /** Ends audits, retention and put-off deletions, and closes the database; after the app. */
  close(): Promise<void>
}

/**
 * Puts the program together. This file and the folder beside it are all that names concrete classes, and all that knows
 * tsyringe: with esbuild there is no decorator metadata, and a forgotten `@inject` gives `undefined` in silence, so each
 * class is made by a factory that the type checker sees.
 *
 * @param configDirectory where the configuration's relative module paths start
 */
export async function createServer(config: Config, configDirectory: string, logger: Logger): Promise<Server> {
  const registry = await loadBackends(config, configDirectory, logger)
  const database = await openDatabase(
    config.dbFile,
    (error) => logger.error({ err: error }, 'database error'),
    { locks: { acquire: acquireFlock }, log: logger },
  )

  const container = root.createChildContainer()
  container.registerInstance(BackendRegistry, registry)
  container.registerInstance(AuditTrail, auditTrail(logger))
  provide(container, AUTHENTICATOR, () => makeAuthenticator(config, database))
  const get = container.resolve.bind(container)
  provideCore(container, config, database, logger, () => recover(get(SnapshotJournal), logger))
  provideAudits(container, config, database, logger)
  const app = await buildApp({
    services: {
      virtualMachines: get(VmCatalogue),
      repositories: get(RepositoryCatalogue),
      snapshots: get(SnapshotService),
      audits: get(AuditService),
      metrics: new SharedMetrics(get(MetricRegistry)),
      leases: get(LeaseService),
      readiness: get(READINESS),
      authenticator: get(AUTHENTICATOR),
    },
    jwt: config.jwt,
    tls: await readTls(config),
    limits: {
      connectionsPerClient: config.api.connectionsPerClient,
      downloadsPerClient: config.api.downloadsPerClient,
      failedLoginsPerAddress: config.auth.failedLoginsPerAddress,
      failedLoginsPerUser: config.auth.failedLoginsPerUser,
    },
    logger,
  })
  return {
    app,
    journal: get(SnapshotJournal),
    index: get(IndexRebuilder),
    repositories: get(RepositoryCatalogue),
    audits: get(AuditService),
    retention: get(RetentionService),
    databaseFile: database.file,
    watches: get(MountWatches),
    async reloadCertificates() {
      const warnings = await checkTlsFiles(config.api.tls, configDirectory)
      replaceCertificates(app.server, await readTls(config))
      return warnings
    },
    async close() {
      await get(AuditService).stop()
      await get(RetentionService).stop()
      await get(SnapshotJournal).stop()
      await database.close()
    },
  }
}

/** What failed while a repository was silent left unfinished snapshots behind. */
function recover(journal: SnapshotJournal, logger: Logger): void {
  journal.recoverAll().catch((error: unknown) => {
    logger.error({ err: error }, 'unfinished snapshots could not be looked for; the next start does it')
  })
}

/** What a command needs that looks at the server's state, or mends it, beside a running server or without one. */
export interface Core {
  readonly repositories: RepositoryCatalogue
  readonly store: SnapshotStore
  readonly disks: DiskMaps
  readonly orphans: Orphans
  readonly index: IndexRebuilder
  readonly watches: MountWatches
}

/** @param configDirectory where the configuration's relative module paths start */
export async function createCore(
  config: Config,
  configDirectory: string,
  database: OpenedDatabase,
  log: Log,
): Promise<Core> {
  const container = root.createChildContainer()
  container.registerInstance(BackendRegistry, await loadBackends(config, configDirectory, log))
  container.registerInstance(AuditTrail, new AuditTrail(log))
  provideCore(container, config, database, log)
  const get = container.resolve.bind(container)
  return {
    repositories: get(RepositoryCatalogue),
    store: get(SnapshotStore),
    disks: get(DiskMaps),
    orphans: get(Orphans),
    index: get(IndexRebuilder),
    watches: get(MountWatches),
  }
}
