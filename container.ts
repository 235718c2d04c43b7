import 'reflect-metadata'
import { readFile } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import {
  type DependencyContainer,
  type InjectionToken,
  instanceCachingFactory,
  container as root,
} from 'tsyringe'
import { buildApp } from './api/app.ts'
import { KeyvPinStore } from './api/auth/keyv-pin-store.ts'
import { ManagerAuthenticator } from './api/auth/manager-authenticator.ts'
import type { ManagerTrust } from './api/auth/manager-trust.ts'
import { UsersAuthenticator } from './api/auth/users-authenticator.ts'
import { replaceCertificates } from './api/replace-certificates.ts'
import btrfs from './backends/btrfs/index.ts'
import cifs from './backends/cifs/index.ts'
import nfs42 from './backends/nfs42/index.ts'
import ocfs2 from './backends/ocfs2/index.ts'
import xfs from './backends/xfs/index.ts'
import { checkTlsFiles } from './config/check-tls-files.ts'
import type { Config } from './config/config.ts'
import { AuditLocks } from './core/audit/audit-locks.ts'
import { AuditService } from './core/audit/audit-service.ts'
import { AuditStore } from './core/audit/audit-store.ts'
import { BackendRegistry } from './core/backends/backend-registry.ts'
import { loadPlugins } from './core/backends/plugin-loader.ts'
import { Quiesce } from './core/consistency/quiesce.ts'
import { StallForecast } from './core/consistency/stall-forecast.ts'
import type { Inventory } from './core/inventory.ts'
import { systemClock } from './core/leases/lease-clock.ts'
import { LeaseService } from './core/leases/lease-service.ts'
import type { Log } from './core/log.ts'
import { MetricRegistry } from './core/metrics/metrics.ts'
import { addProcessMetrics } from './core/metrics/process-metrics.ts'
import { MountGuard } from './core/repositories/mount-guard.ts'
import { RepositoryCatalogue } from './core/repositories/repository-catalogue.ts'
import { RetentionService } from './core/retention/retention-service.ts'
import type { Authenticator, Readiness } from './core/services.ts'
import { DiskMaps } from './core/snapshots/disk-maps.ts'
import { IndexRebuilder } from './core/snapshots/index-rebuilder.ts'
import { Orphans } from './core/snapshots/orphans.ts'
import { PlainAdoption } from './core/snapshots/plain-adoption.ts'
import { SnapshotFiles } from './core/snapshots/snapshot-files.ts'
import { SnapshotJournal } from './core/snapshots/snapshot-journal.ts'
import { SnapshotMaps } from './core/snapshots/snapshot-maps.ts'
import { SnapshotService, storedSnapshotIds } from './core/snapshots/snapshot-service.ts'
import { SnapshotStore } from './core/snapshots/snapshot-store.ts'
import { VmLocks } from './core/snapshots/vm-locks.ts'
import type { BackendFactory } from './core/storage-backend.ts'
import {
  AUDITS_NAMESPACE,
  INDEX_NAMESPACE,
  locksFolder,
  MANAGER_PINS_NAMESPACE,
  type OpenedDatabase,
  openDatabase,
  VMS_NAMESPACE,
} from './core/store/database.ts'
import { VmCatalogue } from './core/vms/vm-catalogue.ts'
import { OvsAgentInventory } from './inventory/ovs-agent/ovs-agent-inventory.ts'
import { readManagerIp } from './inventory/ovs-agent/read-manager-ip.ts'
import { StaticInventory } from './inventory/static/static-inventory.ts'
import { acquireFlock, holdBeneath, readMounts } from './native/index.ts'

/** How long a request waits for a VM's lock before it is told that the VM is busy. */
const LOCK_PATIENCE_MS = 60_000
const MANAGER_PORT = 7002

/** The backends that come with Diskferry, by their names. */
export const FIRST_PARTY_BACKENDS: Readonly<Record<string, BackendFactory>> = {
  ocfs2,
  xfs,
  btrfs,
  nfs42,
  cifs,
}

const AUTHENTICATOR: InjectionToken<Authenticator> = Symbol('Authenticator')
const INVENTORY: InjectionToken<Inventory> = Symbol('Inventory')
const READINESS: InjectionToken<Readiness> = Symbol('Readiness')

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
  /**
   * Shows the certificates that are in the configured files now from the next connection on.
   *
   * @returns warnings about them
   * @throws CONFIG_INVALID, or node's error, for files that can't be used; those of before stay in use
   */
  reloadCertificates(): Promise<readonly string[]>
  /** Ends audits and retention, and closes the database; after the app. */
  close(): Promise<void>
}

/**
 * Puts the program together; the only file that names every concrete class. tsyringe stays here: with esbuild there is
 * no decorator metadata, and a forgotten `@inject` gives `undefined` in silence, so each class is made by a factory that
 * the type checker sees.
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
  provide(container, AUTHENTICATOR, () => authenticator(config, database))
  provideCore(container, config, database, logger)
  provideAudits(container, config, database, logger)
  const get = container.resolve.bind(container)
  const app = await buildApp({
    services: {
      virtualMachines: get(VmCatalogue),
      repositories: get(RepositoryCatalogue),
      snapshots: get(SnapshotService),
      audits: get(AuditService),
      metrics: get(MetricRegistry),
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
    async reloadCertificates() {
      const warnings = await checkTlsFiles(config.api.tls, configDirectory)
      replaceCertificates(app.server, await readTls(config))
      return warnings
    },
    async close() {
      await get(AuditService).stop()
      await get(RetentionService).stop()
      await database.close()
    },
  }
}

/** What a command needs that looks at the server's state, or mends it, beside a running server or without one. */
export interface Core {
  readonly repositories: RepositoryCatalogue
  readonly store: SnapshotStore
  readonly disks: DiskMaps
  readonly orphans: Orphans
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
  provideCore(container, config, database, log)
  const get = container.resolve.bind(container)
  return {
    repositories: get(RepositoryCatalogue),
    store: get(SnapshotStore),
    disks: get(DiskMaps),
    orphans: get(Orphans),
  }
}

async function loadBackends(config: Config, configDirectory: string, log: Log): Promise<BackendRegistry> {
  const registry = new BackendRegistry()
  await loadPlugins(registry, config.backends, configDirectory, log, {
    reservedNames: Object.keys(FIRST_PARTY_BACKENDS),
  })
  for (const makeBackend of Object.values(FIRST_PARTY_BACKENDS))
    registry.register(makeBackend({}), 'diskferry')
  return registry
}

function provideCore(
  container: DependencyContainer,
  config: Config,
  database: OpenedDatabase,
  logger: Log,
): void {
  const get = container.resolve.bind(container)
  provide(container, INVENTORY, () => inventory(config))
  provide(
    container,
    MountGuard,
    () => new MountGuard({ list: readMounts }, config.inventory.requireMountPoint),
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
    () => new RepositoryCatalogue(get(INVENTORY), get(BackendRegistry), get(MountGuard), holdBeneath),
  )
  provide(
    container,
    VmCatalogue,
    () =>
      new VmCatalogue(
        get(INVENTORY),
        get(RepositoryCatalogue),
        get(MountGuard),
        storedSnapshotIds(get(SnapshotStore)),
      ),
  )
  provide(container, Quiesce, () => new Quiesce(config.quiesce, logger))
  provide(container, SnapshotFiles, () => new SnapshotFiles(get(MountGuard), holdBeneath, get(Quiesce)))
  provide(
    container,
    SnapshotJournal,
    () => new SnapshotJournal(get(SnapshotStore), get(SnapshotFiles), get(VmLocks), logger, get(Quiesce)),
  )
  provide(
    container,
    IndexRebuilder,
    () =>
      new IndexRebuilder({
        inventory: get(INVENTORY),
        guard: get(MountGuard),
        store: get(SnapshotStore),
        locks: get(VmLocks),
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
        store: get(SnapshotStore),
        locks: get(VmLocks),
        files: get(SnapshotFiles),
        plain: new PlainAdoption(get(RepositoryCatalogue), get(SnapshotStore), get(VmLocks)),
      }),
  )
  provide(container, DiskMaps, () => new DiskMaps(get(BackendRegistry), get(MountGuard), holdBeneath))
  provide(
    container,
    LeaseService,
    () =>
      new LeaseService({
        store: get(SnapshotStore),
        locks: get(VmLocks),
        guard: get(MountGuard),
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
          clock: systemClock,
          log: logger,
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
        distrusted: get(AuditStore),
        forecast: new StallForecast(config.quiesce, logger),
        leases: get(LeaseService),
        retention: get(RetentionService),
      }),
  )
  provide(container, READINESS, () => ({
    async check(signal) {
      await get(SnapshotStore).read('readiness')
      await get(INVENTORY).read(signal)
    },
  }))
}

function provideAudits(
  container: DependencyContainer,
  config: Config,
  database: OpenedDatabase,
  logger: Logger,
): void {
  const get = container.resolve.bind(container)
  provide(container, AuditStore, () => new AuditStore(database.keyv(AUDITS_NAMESPACE)))
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
          snapshots: get(SnapshotStore),
          store: get(AuditStore),
          registry: get(MetricRegistry),
          log: logger,
          locks: new AuditLocks({ acquire: acquireFlock }, `${database.file}.locks`),
        },
        config.audit,
      ),
  )
}

/** One instance for the container: tsyringe's own factories make a new one at each resolve. */
function provide<Service>(
  container: DependencyContainer,
  token: InjectionToken<Service>,
  make: () => Service,
): void {
  container.register(token, { useFactory: instanceCachingFactory(make) })
}

function inventory(config: Config): Inventory {
  return config.inventory.source === 'static'
    ? new StaticInventory(config.static)
    : new OvsAgentInventory({ agentDbDir: config.ovm.agentDbDir, hold: holdBeneath })
}

function authenticator(config: Config, database: OpenedDatabase): Authenticator {
  if (config.auth.provider === 'users') return new UsersAuthenticator(config.auth.users)
  return new ManagerAuthenticator({
    resolveEndpoint: async () =>
      config.ovmEndpoint ?? managerEndpoint(await readManagerIp(config.ovm.agentDbDir)),
    trust: managerTrust(config, database),
  })
}

function managerTrust({ ovm }: Config, database: OpenedDatabase): ManagerTrust {
  if (ovm.tls === 'off') return { mode: 'off' }
  if (ovm.tls === 'ca') return { mode: 'ca', caCertificate: ovm.caCertificate! }
  const pins = new KeyvPinStore(database.keyv(MANAGER_PINS_NAMESPACE))
  return { mode: 'pin', pins, howToAccept: 'run `diskferry forget-manager` on the host, then log in again' }
}

function managerEndpoint(address: string): string {
  return `https://${address.includes(':') ? `[${address}]` : address}:${MANAGER_PORT}`
}

async function readTls({ api }: Config) {
  const { certificate, key, caCertificate } = api.tls
  const requireClientCertificate = api.clientCertificates === 'required'
  return {
    cert: await readFile(certificate),
    key: await readFile(key),
    requireClientCertificate,
    ...(requireClientCertificate && caCertificate !== undefined && { ca: await readFile(caCertificate) }),
  }
}
