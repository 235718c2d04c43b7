import { dirname } from 'node:path'
import type { Config } from '../../config/config.ts'
import { loadConfig } from '../../config/load-config.ts'
import { createCore } from '../../container.ts'
import { describe } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import { databaseFileOf, type OpenedDatabase, openDatabase } from '../../core/store/database.ts'
import { emptyDatabase } from '../../core/store/empty-database.ts'
import { endProcess } from '../../native/end-process.ts'
import { checkOrphans, checkRepositories, checkSnapshots } from './checks.ts'
import { type Finding, findingsText } from './finding.ts'

interface Examination {
  readonly findings: readonly Finding[]
  /** Are there calls that the kernel may never let go? */
  readonly holdsThreads: boolean
}

/**
 * Looks at everything the server works with, and changes nothing but what a check of a repository writes and removes.
 * It may run beside the server.
 *
 * @returns the exit code: 1 when there is a problem, 0 when there are none but warnings
 */
export async function doctor(
  configFile: string,
  { json }: { readonly json: boolean },
  out: { write(text: string): unknown },
): Promise<number> {
  const { findings, holdsThreads } = await examine(configFile)
  const sound = findings.every(({ level }) => level !== 'problem')
  out.write(json ? `${JSON.stringify({ sound, findings }, null, 2)}\n` : findingsText(findings))
  const exitCode = sound ? 0 : 1
  // A thread in a call to a server that is gone would keep the process from ending.
  if (holdsThreads) endProcess(exitCode)
  return exitCode
}

async function examine(configFile: string): Promise<Examination> {
  const findings: Finding[] = []
  let config: Config
  try {
    const loaded = await loadConfig(configFile)
    config = loaded.config
    for (const message of loaded.warnings) findings.push({ area: 'configuration', level: 'warning', message })
    findings.push({ area: 'configuration', level: 'ok', message: configFile })
  } catch (error) {
    const problem = { area: 'configuration', level: 'problem', message: describe(error) } as const
    return { findings: [problem], holdsThreads: false }
  }
  const { database, isReal } = await open(config, findings)
  let holdsThreads = false
  try {
    const complain = (_fields: object, message: string): void => {
      findings.push({ area: 'configuration', level: 'problem', message })
    }
    const log: Log = { info: () => undefined, warn: complain, error: complain }
    const core = await createCore(config, dirname(configFile), database, log)
    findings.push(...(await checked('repositories', () => checkRepositories(core))))
    findings.push(...(await checked('snapshots', () => checkSnapshots(core))))
    findings.push(...(await checked('orphans', () => checkOrphans(core, isReal))))
    holdsThreads = core.watches.holdThreads
  } finally {
    await database.close()
  }
  return { findings, holdsThreads }
}

/** With none in its place, so that the rest can be looked at, where there is none or it is damaged. */
async function open(
  { dbFile }: Config,
  findings: Finding[],
): Promise<{ readonly database: OpenedDatabase; readonly isReal: boolean }> {
  const found = (level: Finding['level'], message: string): void => {
    findings.push({ area: 'database', level, message })
  }
  try {
    const { file, isThere } = await databaseFileOf(dbFile)
    if (isThere) {
      const database = await openDatabase(dbFile, (error) => found('problem', describe(error)))
      found('ok', file)
      return { database, isReal: true }
    }
    found('warning', `'${file}' (db_file) is not there, or empty: the next start of the server makes it anew`)
  } catch (error) {
    found('problem', describe(error))
  }
  return { database: emptyDatabase(dbFile), isReal: false }
}

/** One area that can't be looked at does not hide the others. */
async function checked(
  area: Finding['area'],
  check: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await check()
  } catch (error) {
    return [{ area, level: 'problem', message: describe(error) }]
  }
}
