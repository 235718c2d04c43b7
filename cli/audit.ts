import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import { auditJson } from '../api/audit-json.ts'
import { loadConfig } from '../config/load-config.ts'
import { createServer } from '../container.ts'
import { type Audit, type AuditOptions, auditVerdict } from '../core/audit/audit.ts'
import type { AuditService } from '../core/audit/audit-service.ts'
import { DiskferryError } from '../core/errors.ts'
import { endProcess } from '../native/end-process.ts'
import { createLogger } from './logger.ts'

/** As typed on the command line. */
export interface AuditArguments {
  readonly config: string
  readonly compareTo: string
  readonly sample?: string
  readonly seed?: string
  readonly rate?: string
  readonly json?: boolean
}

/** A stream of this process that may be a terminal. */
export interface Output {
  readonly isTTY?: boolean
  write(text: string): unknown
}

const REDRAW_MS = 200
const SLOWEST_RATE = 65_536
const EXIT_PASSED = 0
const EXIT_NO_VERDICT = 1
/** 2 is for wrong arguments; see main.ts. */
const EXIT_MISMATCH = 3

/**
 * Audits a difference in this process, beside a server that may be running on the same database. The rate may be higher
 * than that of the configuration: who may run this may also change that. Ctrl-C ends it cleanly.
 *
 * @returns the exit code: 0 passed, 3 the difference is wrong, 1 no verdict
 * @throws USAGE, CONFIG_INVALID, and as Audits.start
 */
export async function audit(
  vmId: string,
  snapshotId: string,
  args: AuditArguments,
  out: Output = process.stdout,
  terminal: Output = process.stderr,
): Promise<number> {
  const options = optionsFrom(args)
  const { config } = await loadConfig(args.config)
  const { logger } =
    config.logFile === undefined
      ? { logger: pino({ level: 'silent' }) }
      : createLogger({ level: config.logLevel, file: config.logFile })
  const limits = { ...config.audit, ...(options.rate !== undefined && { rate: options.rate }) }
  const server = await createServer({ ...config, audit: limits }, dirname(args.config), logger)
  let exitCode = EXIT_NO_VERDICT
  try {
    const { audits } = server
    await audits.start(vmId, snapshotId, options)
    await withProgress(audits, vmId, snapshotId, terminal)
    const result = await audits.get(vmId, snapshotId)
    out.write(args.json ? `${JSON.stringify(auditJson(result), null, 2)}\n` : report(result))
    if (result.state === 'passed') exitCode = EXIT_PASSED
    if (result.state === 'mismatch') exitCode = EXIT_MISMATCH
  } finally {
    await server.app.close()
    await server.close()
    for (const vm of server.audits.unwritten)
      terminal.write(
        `diskferry: what was found out about VM ${vm} could not be written to the database, and is lost: audit it again when there is space\n`,
      )
  }
  // A thread in a call to a server that is gone would keep the process from ending.
  if (server.watches.holdThreads) endProcess(exitCode)
  return exitCode
}

function optionsFrom({ compareTo, sample, seed, rate }: AuditArguments): AuditOptions {
  return {
    compareTo,
    ...(sample !== undefined && { sample: integer('--sample', sample, 1, Number.MAX_SAFE_INTEGER) }),
    ...(seed !== undefined && { seed: integer('--seed', seed, 0, 2 ** 32 - 1) }),
    ...(rate !== undefined && { rate: integer('--rate', rate, SLOWEST_RATE, Number.MAX_SAFE_INTEGER) }),
  }
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  throw new DiskferryError('USAGE', `${name}: '${text}' is not an integer from ${least} to ${most}`)
}

/** Until the audit has ended; the first Ctrl-C or SIGTERM ends it. */
async function withProgress(
  audits: AuditService,
  vmId: string,
  snapshotId: string,
  terminal: Output,
): Promise<void> {
  const interrupt = () => void audits.stop()
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  try {
    let over = false
    const ended = audits.ended(vmId, snapshotId).then(() => {
      over = true
    })
    while (terminal.isTTY && !over) {
      terminal.write(`\r\x1b[2K${auditVerdict(await audits.get(vmId, snapshotId))}`)
      await Promise.race([ended, delay(REDRAW_MS, undefined, { ref: false })])
    }
    await ended
  } finally {
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
    if (terminal.isTTY) terminal.write('\r\x1b[2K')
  }
}

function report(result: Audit): string {
  const { mismatches, state, snapshotId, compareTo, vmId } = result
  const lines = [
    `VM ${vmId}, snapshot ${snapshotId} compared with ${compareTo}: ${state}`,
    auditVerdict(result),
  ]
  for (const { disk, path, start, length, told } of mismatches) {
    lines.push(`disk ${disk}, '${path}': ${length} bytes at ${start} were told ${told} and are not`)
  }
  if (state === 'mismatch') {
    lines.push(
      'From now on this pair is compared by content. Pull it again: what was pulled with it before is wrong.',
    )
  }
  return `${lines.join('\n')}\n`
}
