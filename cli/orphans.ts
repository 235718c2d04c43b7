import { dirname } from 'node:path'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load-config.ts'
import { type Core, createCore } from '../container.ts'
import { type AuditFields, AuditTrail } from '../core/audit-trail.ts'
import { describe } from '../core/errors.ts'
import type { Orphan } from '../core/snapshots/orphans.ts'
import { openDatabase } from '../core/store/database.ts'
import { createLogger } from './logger.ts'

interface Output {
  write(text: string): unknown
}

/** Shows each orphan with what can be done with it. @throws CONFIG_INVALID, STORE_FAILED, INVENTORY_UNREADABLE */
export function listOrphans(configFile: string, { json }: { json: boolean }, out: Output): Promise<void> {
  return withCore(configFile, async ({ orphans }) => {
    const found = await orphans.list()
    if (json) out.write(`${JSON.stringify(found.map(orphanJson), null, 2)}\n`)
    else if (found.length === 0) out.write('There are no orphans in the repositories that are mounted.\n')
    else for (const orphan of found) out.write(orphanText(orphan))
  })
}

/** @throws SNAPSHOT_NOT_FOUND, ORPHAN_REFUSED for the first that can't be adopted; those before it are */
export function adoptOrphans(
  configFile: string,
  ids: readonly string[],
  vm: string | undefined,
  out: Output,
): Promise<void> {
  return withCore(configFile, async ({ orphans, index }, config) => {
    const trail = auditTrail(config)
    // Else the next start would take what is adopted here for all that a new database is to have.
    await index.origin()
    for (const id of ids) {
      const fields: AuditFields = { user: administrator(), client: null, vm, snapshot: id }
      await trail.of('orphan.adopt', fields, async () => {
        fields.vm = await orphans.adopt(id, vm)
      })
      out.write(`${id} is a snapshot of VM ${fields.vm} now.\n`)
    }
  })
}

/** @throws SNAPSHOT_NOT_FOUND for the first that is none; those before it are removed */
export function removeOrphans(
  configFile: string,
  ids: readonly string[],
  { force }: { force: boolean },
  out: Output,
): Promise<void> {
  return withCore(configFile, async ({ orphans }, config) => {
    const trail = auditTrail(config)
    for (const id of ids) {
      const fields: AuditFields = {
        user: administrator(),
        client: null,
        snapshot: id,
        ...(force && { force }),
      }
      await trail.of('orphan.remove', fields, async () => {
        const { vmId, lease } = await orphans.remove(id, { force })
        fields.vm = vmId
        if (lease === undefined) return
        fields.holder = lease.holder
        fields.expires_at = lease.expiresAt
      })
      out.write(`${id} is removed.\n`)
    }
  })
}

/** What programs read about an orphan. */
export function orphanJson({ id, state, reason, vmId, createdAt, parts }: Orphan) {
  return {
    id,
    state,
    reason,
    vm: vmId ?? null,
    created_at: createdAt ?? null,
    files: parts.flatMap(({ folder, home }) =>
      folder.files.map(({ name, size }) => ({ repository: home.repository.mountPoint, name, size })),
    ),
  }
}

function orphanText(orphan: Orphan): string {
  const { id, state, reason, vm, created_at, files } = orphanJson(orphan)
  const whose = vm === null ? '' : `, of VM ${vm}, ${created_at}`
  const half = state === 'deleting' || state === 'unfinished'
  return [
    `${id}${whose}`,
    `  ${reason}`,
    ...files.map(({ repository, name, size }) => `  ${repository}: ${name}, ${size} bytes`),
    `  to do: ${half ? '' : `diskferry orphans adopt ${id}, or `}diskferry orphans remove ${id}`,
    '',
  ].join('\n')
}

/** Who called the command: by sudo it runs as root. */
function administrator(): string {
  const { SUDO_USER, USER } = process.env
  return SUDO_USER ?? USER ?? String(process.getuid!())
}

/** Beside the lines of the server. What it writes to stdout may be in the journal, where a command has no place. */
function auditTrail({ logFile }: Config): AuditTrail {
  const { logger } = createLogger({
    level: 'info',
    descriptor: 2,
    ...(logFile !== undefined && { file: logFile }),
  })
  return new AuditTrail(logger)
}

async function withCore<Result>(
  configFile: string,
  work: (core: Core, config: Config) => Promise<Result>,
): Promise<Result> {
  const { config } = await loadConfig(configFile)
  const fail = (error: unknown): void => {
    process.stderr.write(`diskferry: ${describe(error)}\n`)
  }
  const database = await openDatabase(config.dbFile, fail)
  try {
    const log = { info: () => undefined, warn: logged, error: logged }
    return await work(await createCore(config, dirname(configFile), database, log), config)
  } finally {
    await database.close()
  }
}

function logged(_fields: object, message: string): void {
  process.stderr.write(`diskferry: ${message}\n`)
}
