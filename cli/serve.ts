import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load-config.ts'
import { createServer, type Server } from '../container.ts'
import { DiskferryError, describe, systemCode } from '../core/errors.ts'
import { endProcess } from '../native/end-process.ts'
import { createLogger } from './logger.ts'
import { threadPoolProblem } from './thread-pool.ts'

/** A start does not wait for a repository that hangs: its snapshots come when it answers. */
const REBUILD_PATIENCE_MS = 30_000

export interface RunningServer {
  /** `https://127.0.0.1:5544` */
  readonly address: string
  /** Takes the certificates anew from their files; logs what came of it, and never fails. */
  reload(): Promise<void>
  /** Ends when the last request has been answered or the grace period is over. */
  stop(): Promise<void>
  /** Are there system calls under way that may never return? They would keep the process from ending. */
  holdsThreads(): boolean
}

/**
 * SIGHUP opens the log file anew and takes the certificates anew. Serves until SIGTERM or SIGINT, then lets running requests finish for `api.shutdown_grace`. A second signal ends
 * them at once.
 *
 * @throws CONFIG_INVALID, STORE_FAILED; USAGE when the address can't be listened on
 */
export async function serve(configFile: string): Promise<void> {
  const { config, warnings } = await loadConfig(configFile)
  const { logger, reopen } = createLogger({
    level: config.logLevel,
    ...(config.logFile !== undefined && { file: config.logFile }),
  })
  for (const warning of warnings) logger.warn({ config: configFile }, warning)
  process.on('SIGHUP', reopen)
  process.on('unhandledRejection', (reason) => {
    logger.fatal({ err: reason }, 'a promise was rejected and nobody looked: this is a bug, the program ends')
    endProcess(1)
  })
  const problem = await threadPoolProblem()
  if (problem !== undefined) logger.warn({}, problem)
  const server = await startServer(config, dirname(configFile), logger)
  process.on('SIGHUP', () => void server.reload())
  await untilTold(server, logger)
  if (server.holdsThreads()) {
    logger.warn({}, 'ended without waiting for system calls to a repository that does not answer')
    endProcess(0)
  }
}

/** Recovers what a killed program left, then listens. */
export async function startServer(
  config: Config,
  configDirectory: string,
  logger: Logger,
): Promise<RunningServer> {
  const server = await createServer(config, configDirectory, logger)
  const stopped = new AbortController()
  if (server.databaseFile !== config.dbFile) {
    logger.warn(
      { db_file: config.dbFile, used: server.databaseFile },
      'db_file belongs to the Coriolis OVM exporter and is left as it is; the file beside it is used instead',
    )
  }
  try {
    // Or it does not start: the first snapshot would make a lost database look like one that has all.
    await server.index.origin()
    await server.journal.recoverAll()
    const rebuilt = server.index.catchUp(stopped.signal)
    await Promise.race([rebuilt, delay(REBUILD_PATIENCE_MS, undefined, { ref: false })])
    const rebuilding = rebuilt.then(() => server.index.keepUp(stopped.signal))
    await logRepositories(server, logger)
    const address = await listen(server, config)
    server.retention.start()
    return {
      address,
      reload: () => reload(server, config, logger),
      async stop() {
        stopped.abort()
        await stop(server, config.api.shutdownGraceMs, logger, rebuilding)
      },
      holdsThreads: () => server.watches.holdThreads,
    }
  } catch (error) {
    stopped.abort()
    await server.app.close()
    await server.close()
    throw error
  }
}

async function listen({ app }: Server, { api }: Config): Promise<string> {
  try {
    return await app.listen({ host: api.bind, port: api.port })
  } catch (error) {
    const reasons: Readonly<Record<string, string>> = {
      EADDRINUSE:
        'another program listens there already, perhaps a second Diskferry or the Coriolis OVM exporter',
      EADDRNOTAVAIL: 'this host has no such address',
      EACCES: 'a port below 1024 needs root or CAP_NET_BIND_SERVICE',
    }
    const reason = reasons[systemCode(error) ?? ''] ?? describe(error)
    throw new DiskferryError('USAGE', `can't listen on ${api.bind} port ${api.port}: ${reason}`, {
      cause: error,
    })
  }
}

async function logRepositories({ repositories }: Server, logger: Logger): Promise<void> {
  try {
    for (const { message } of await repositories.problems())
      logger.warn({ problem: message }, 'inventory problem')
    for (const { id, mountPoint, backend, reasons, problems } of await repositories.list()) {
      const fields = { repository: id, mount_point: mountPoint, backend, reasons, problems }
      if (backend === null || problems.length > 0) logger.warn(fields, 'repository with problems')
      else logger.info(fields, 'repository')
    }
  } catch (error) {
    logger.error({ err: error }, `the inventory can't be read: ${describe(error)}`)
  }
}

async function reload(server: Server, { api }: Config, logger: Logger): Promise<void> {
  const fields = { certificate: api.tls.certificate }
  try {
    for (const warning of await server.reloadCertificates()) logger.warn(fields, warning)
    logger.info(fields, 'the certificates were read anew; connections that are open keep the old ones')
  } catch (error) {
    logger.error(
      { ...fields, err: error },
      `the new certificates can't be used, the old ones are kept: ${describe(error)}`,
    )
  }
}

async function stop(
  { app, close }: Server,
  graceMs: number,
  logger: Logger,
  rebuilding: Promise<void>,
): Promise<void> {
  const impatience = setTimeout(() => {
    logger.warn({ grace_ms: graceMs }, 'requests were still running after the grace period and are cut off')
    app.server.closeAllConnections()
  }, graceMs)
  try {
    await app.close()
  } finally {
    clearTimeout(impatience)
    await Promise.race([rebuilding, delay(graceMs, undefined, { ref: false })])
    await close()
  }
}

async function untilTold(server: RunningServer, logger: Logger): Promise<void> {
  const told = new Promise<NodeJS.Signals>((resolve) => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
  })
  // Not before: who reads it may send the signal at once.
  logger.info({ address: server.address, pid: process.pid }, 'listening')
  const signal = await told
  logger.info({ signal }, 'stopping: running requests may finish')
  const atOnce = (second: NodeJS.Signals) => {
    logger.warn({ signal: second }, 'told a second time: ending at once')
    endProcess(1)
  }
  process.on('SIGTERM', atOnce)
  process.on('SIGINT', atOnce)
  await server.stop()
  logger.info({}, 'stopped')
}
