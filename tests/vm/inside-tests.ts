import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { PassThrough } from 'node:stream'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { BUNDLE_VARIABLE } from '../support/program.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { bundle } from './bundle.ts'
import type { InsideNote, InsideOutcome } from './inside/event-reporter.ts'
import { type MachineOptions, runInMachine } from './machine.ts'

const REPORTER = fileURLToPath(new URL('inside/event-reporter.ts', import.meta.url))
const SERVER = fileURLToPath(new URL('../../main.ts', import.meta.url))

export interface InsideTestsOptions
  extends Omit<MachineOptions, 'command' | 'number' | 'signal' | 'stdout' | 'stderr'> {
  /** Only tests whose name matches: the pattern of `node --test-name-pattern`. */
  readonly pattern?: string
}

/**
 * Boots a test machine for each lane and runs test files in it. Each of their tests becomes a subtest of `t`, as it ends.
 *
 * @param lanes files that run one after the other in one process, beside those of the other lanes
 */
export async function runInsideTests(
  t: TestContext,
  lanes: readonly (readonly string[])[],
  options: InsideTestsOptions = {},
): Promise<void> {
  if (lanes.length === 0) throw new Error('There is no test file of that name for the test machine.')
  await using bundles = await temporaryDirectory('inside')
  const programs = await Promise.all(lanes.map((files, lane) => laneProgram(files, lane, bundles.path)))
  const [server, reporter, ...packed] = await bundle([SERVER, REPORTER, ...programs], bundles.path)
  const ends = await Promise.allSettled(
    packed.map((program, lane) =>
      runLane(t, lane, { program, server: server!, reporter: reporter! }, options),
    ),
  )
  const reasons: unknown[] = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []))
  if (reasons.length === 1) throw reasons[0]
  if (reasons.length > 1) throw new AggregateError(reasons, reasons.map(String).join('\n'))
  if (ends.every((end) => end.status === 'fulfilled' && end.value === 0))
    throw new Error('No test of the machine has such a name.')
}

/**
 * Each thread in there is a process for the kernel outside: the 512 that a server has would take it five seconds of
 * processor time at each start.
 */
const THREADS = '32'

/** Files that `bundle` made. */
interface LaneFiles {
  readonly program: string
  readonly server: string
  readonly reporter: string
}

/** @returns how many tests were run */
async function runLane(
  t: TestContext,
  lane: number,
  { program, server, reporter }: LaneFiles,
  { pattern, ...machine }: InsideTestsOptions,
): Promise<number> {
  const runner = [`--test-reporter=${reporter}`, '--test-reporter-destination=stdout']
  if (pattern !== undefined) runner.push(`--test-name-pattern=${pattern}`)
  const stdout = new PassThrough()
  const misread = new AbortController()
  const [{ exitCode, bootMs }, outcomes] = await Promise.all([
    runInMachine({
      ...machine,
      signal: AbortSignal.any([t.signal, misread.signal]),
      number: lane,
      env: { UV_THREADPOOL_SIZE: THREADS, ...machine.env, [BUNDLE_VARIABLE]: server },
      command: [process.execPath, ...runner, program],
      stdout,
      stderr: process.stderr,
    }).finally(() => stdout.end()),
    relay(t, stdout).catch((error) => {
      misread.abort(error)
      throw error
    }),
  ])
  t.diagnostic(`Machine ${lane} booted in ${(bootMs / 1000).toFixed(1)} s.`)
  for (const { name, seconds, notes } of outcomes) {
    t.diagnostic(`${seconds.toFixed(1)} s: ${name}`)
    for (const note of notes) t.diagnostic(`  ${note}`)
  }
  if (exitCode !== 0 && outcomes.every(({ error }) => error === undefined)) {
    throw new Error(
      `Each of the ${outcomes.length} tests in machine ${lane} passed, but node ended with ${exitCode}.`,
    )
  }
  return outcomes.length
}

/**
 * One program for all test files of a lane, which run in their order: what node has
 * compiled for one serves the next, too.
 */
async function laneProgram(files: readonly string[], lane: number, folder: string): Promise<string> {
  const path = join(folder, `lane-${lane}.ts`)
  await writeFile(path, files.map((file) => `import ${JSON.stringify(file)}\n`).join(''))
  return path
}

/** The reason that node's test runner gives for a test whose name was not asked for. */
const UNMATCHED = 'test name does not match pattern'

async function relay(t: TestContext, lines: PassThrough): Promise<readonly InsideOutcome[]> {
  const outcomes: InsideOutcome[] = []
  let last: InsideOutcome | undefined
  for await (const line of createInterface({ input: lines })) {
    const outcome = JSON.parse(line) as InsideOutcome | InsideNote
    if ('note' in outcome) {
      last?.notes.push(outcome.note)
      continue
    }
    last = outcome
    if (outcome.skipped === UNMATCHED) continue
    outcomes.push(outcome)
    await t.test(outcome.name, (inside) => {
      if (outcome.skipped !== undefined) inside.skip(outcome.skipped)
      if (outcome.error !== undefined) throw new Error(outcome.error)
    })
  }
  return outcomes
}
