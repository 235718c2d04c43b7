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
import btrfs from './backends/btrfs/index.ts'
import cifs from './backends/cifs/index.ts'
import nfs42 from './backends/nfs42/index.ts'
import ocfs2 from './backends/ocfs2/index.ts'
import xfs from './backends/xfs/index.ts'
import type { Config } from './config/config.ts'
import { BackendRegistry } from './core/backends/backend-registry.ts'
import { loadPlugins } from './core/backends/plugin-loader.ts'
import type { Inventory } from './core/inventory.ts'
import { MountWatches } from './core/mounts/mount-watches.ts'
import { MountGuard } from './core/repositories/mount-guard.ts'
import { RepositoryCatalogue } from './core/repositories/repository-catalogue.ts'
import type { Authenticator, Readiness } from './core/services.ts'
import { DiskMaps } from './core/snapshots/disk-maps.ts'
import { SnapshotFiles } from './core/snapshots/snapshot-files.ts'
import { SnapshotJournal } from './core/snapshots/snapshot-journal.ts'
import { SnapshotMaps } from './core/snapshots/snapshot-maps.ts'
import { SnapshotService, storedSnapshotIds } from './core/snapshots/snapshot-service.ts'
import { SnapshotStore } from './core/snapshots/snapshot-store.ts'
import { VmLocks } from './core/snapshots/vm-locks.ts'
import type { BackendFactory } from './core/storage-backend.ts'
import {
  MANAGER_PINS_NAMESPACE,
  type OpenedDatabase,
  openDatabase,
  VMS_NAMESPACE,
} from './core/store/database.ts'
import { VmCatalogue } from './core/vms/vm-catalogue.ts'
import { OvsAgentInventory } from './inventory/ovs-agent/ovs-agent-inventory.ts'
import { readManagerIp } from './inventory/ovs-agent/read-manager-ip.ts'
import { StaticInventory } from './inventory/static/static-inventory.ts'
import { acquireFlock, filesystemStatus, readMounts } from './native/index.ts'

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
  readonly repositories: RepositoryCatalogue
  /** The database in use; beside the configured one where that is the ancestor's. */
  readonly databaseFile: string
  readonly watches: MountWatches
  /** Closes the database; after the app. */
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
  const registry = new BackendRegistry()
  await loadPlugins(registry, config.backends, configDirectory, logger, {
    reservedNames: Object.keys(FIRST_PARTY_BACKENDS),
  })
  for (const makeBackend of Object.values(FIRST_PARTY_BACKENDS))
    registry.register(makeBackend({}), 'diskferry')
  const database = await openDatabase(config.dbFile, (error) =>
    logger.error({ err: error }, 'database error'),
  )

  const container = root.createChildContainer()
  container.registerInstance(BackendRegistry, registry)
  provide(container, AUTHENTICATOR, () => authenticator(config, database))
  provide(container, INVENTORY, () => inventory(config, container.resolve(MountWatches)))
  provideCore(container, config, database, logger)
  const get = container.resolve.bind(container)
  const app = await buildApp({
    services: {
      virtualMachines: get(VmCatalogue),
      repositories: get(RepositoryCatalogue),
      snapshots: get(SnapshotService),
      readiness: get(READINESS),
      authenticator: get(AUTHENTICATOR),
    },
    jwt: config.jwt,
    tls: await readTls(config),
    logger,
  })
  return {
    app,
    journal: get(SnapshotJournal),
    repositories: get(RepositoryCatalogue),
    databaseFile: database.file,
    watches: get(MountWatches),
    close: () => database.close(),
  }
}

function provideCore(
  container: DependencyContainer,
  config: Config,
  database: OpenedDatabase,
  logger: Logger,
): void {
  const get = container.resolve.bind(container)
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
          onRecovered: () => recover(get(SnapshotJournal), logger),
        },
      ),
  )
  provide(container, SnapshotStore, () => new SnapshotStore(database.keyv(VMS_NAMESPACE)))
  provide(
    container,
    VmLocks,
    () => new VmLocks({ acquire: acquireFlock }, `${database.file}.locks`, LOCK_PATIENCE_MS),
  )
  provide(
    container,
    RepositoryCatalogue,
    () => new RepositoryCatalogue(get(INVENTORY), get(BackendRegistry), get(MountGuard), get(MountWatches)),
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
  provide(container, SnapshotFiles, () => new SnapshotFiles(get(MountGuard), get(MountWatches)))
  provide(
    container,
    SnapshotJournal,
    () => new SnapshotJournal(get(SnapshotStore), get(SnapshotFiles), get(VmLocks), logger),
  )
  provide(container, DiskMaps, () => new DiskMaps(get(BackendRegistry), get(MountGuard), get(MountWatches)))
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
      }),
  )
  provide(container, READINESS, () => ({
    async check(signal) {
      await get(SnapshotStore).read('readiness')
      await get(INVENTORY).read(signal)
    },
  }))
}

/** What failed while a repository was silent left unfinished snapshots behind. */
function recover(journal: SnapshotJournal, logger: Logger): void {
  journal.recoverAll().catch((error: unknown) => {
    logger.error({ err: error }, 'unfinished snapshots could not be looked for; the next start does it')
  })
}

/** One instance for the container: tsyringe's own factories make a new one at each resolve. */
function provide<Service>(
  container: DependencyContainer,
  token: InjectionToken<Service>,
  make: () => Service,
): void {
  container.register(token, { useFactory: instanceCachingFactory(make) })
}

function inventory(config: Config, watches: MountWatches): Inventory {
  return config.inventory.source === 'static'
    ? new StaticInventory(config.static)
    : new OvsAgentInventory({ agentDbDir: config.ovm.agentDbDir, watches })
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
