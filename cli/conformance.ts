import { readFile } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import {
  type CheckResult,
  type ConformanceOptions,
  parseSteps,
  runConformance,
} from '../conformance/index.ts'
import { FIRST_PARTY_BACKENDS } from '../container/load-backends.ts'
import { importFactory } from '../core/backends/plugin-loader.ts'
import { DiskferryError, describe } from '../core/errors.ts'
import type { BackendFactory } from '../core/storage-backend.ts'
import { jsonReport } from './conformance/json-report.ts'
import { textReport } from './conformance/text-report.ts'

/** As typed on the command line. */
export interface ConformanceArguments {
  /** A first-party backend's name, a package, or a path. */
  readonly backend: string
  readonly directory: string
  /** JSON, handed to the backend's factory. */
  readonly options?: string
  readonly json?: boolean
  /** `7`, `1-20`, `3,9,20-30`. */
  readonly seeds?: string
  /** A regular expression; upper and lower case are the same. */
  readonly only?: string
  /** A file with a history, as a failure prints it. */
  readonly replay?: string
  readonly extents?: string
  readonly fullDiskMib?: string
  readonly elsewhere?: string
  readonly timeLimit?: string
}

const MIB = 1024 * 1024
const MOST_SEEDS = 100_000

/**
 * Runs the conformance suite and writes a report as it goes. Ctrl-C ends the check under way, which removes its files.
 *
 * @returns the exit code: 0 when no check failed, else 1
 * @throws USAGE for arguments that can't be used; BACKEND_INVALID when the module makes no backend
 */
export async function conformance(
  args: ConformanceArguments,
  output: Writable = process.stdout,
): Promise<number> {
  const options = await optionsFrom(args)
  const interrupted = new AbortController()
  const interrupt = () => interrupted.abort()
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  try {
    const { suite, checks, results } = await runConformance(options, interrupted.signal)
    if (checks.length === 0) throw usage(`no check has a name that matches '${args.only}'`)
    const report = args.json ? jsonReport(suite, output) : textReport(suite, checks, output)
    const done: CheckResult[] = []
    for await (const result of results) {
      report.add(result)
      done.push(result)
    }
    const whole = done.length === checks.length
    report.end(whole)
    return whole && done.every(({ outcome }) => outcome !== 'failed') ? 0 : 1
  } finally {
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}

async function optionsFrom(args: ConformanceArguments): Promise<ConformanceOptions> {
  const { backend, directory, only, seeds, replay, extents, fullDiskMib, elsewhere, timeLimit } = args
  return {
    backend: FIRST_PARTY_BACKENDS[backend] ?? (await load(backend)),
    backendOptions: backendOptions(args.options),
    directory,
    ...(only !== undefined && { only: pattern(only) }),
    ...(seeds !== undefined && { seeds: seedsFrom(seeds) }),
    ...(replay !== undefined && { replay: parseSteps(await readHistory(replay)) }),
    ...(extents !== undefined && { extents: integer('--extents', extents) }),
    ...(fullDiskMib !== undefined && { fullDiskBytes: integer('--full-disk-mib', fullDiskMib) * MIB }),
    ...(elsewhere !== undefined && { elsewhere }),
    ...(timeLimit !== undefined && { timeLimit: integer('--time-limit', timeLimit) }),
  }
}

async function load(module: string): Promise<BackendFactory> {
  try {
    return await importFactory(module, process.cwd())
  } catch (cause) {
    const names = Object.keys(FIRST_PARTY_BACKENDS).join(', ')
    throw new DiskferryError(
      'USAGE',
      `the backend '${module}' can't be loaded: ${describe(cause)}; name one of ${names}, a package, or a path that begins with / or ./`,
      { cause },
    )
  }
}

function backendOptions(text = '{}'): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw usage(`--options is not JSON: ${describe(cause)}`)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>
  }
  throw usage('--options is not a JSON object, such as {"something": true}')
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text, 'iu')
  } catch (cause) {
    throw usage(`--only is not a regular expression: ${describe(cause)}`)
  }
}

export function seedsFrom(text: string): readonly number[] {
  const seeds = text.split(',').flatMap((part) => {
    const match = /^\s*(\d{1,9})(?:-(\d{1,9}))?\s*$/.exec(part)
    const first = Number(match?.[1])
    const last = Number(match?.[2] ?? match?.[1])
    if (match === null || last < first || last - first >= MOST_SEEDS) {
      throw usage(`--seeds: '${part}' is neither a seed nor a range of seeds such as 1-20`)
    }
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
  return [...new Set(seeds)]
}

async function readHistory(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw usage(`--replay: ${describe(cause)}`)
  }
}

function integer(name: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw usage(`${name} is a number, not '${text}'`)
}

function usage(message: string): DiskferryError {
  return new DiskferryError('USAGE', message)
}
