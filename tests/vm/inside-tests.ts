import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { PassThrough } from 'node:stream'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { bundle } from './bundle.ts'
import type { InsideNote, InsideOutcome } from './inside/event-reporter.ts'
import { type MachineOptions, runInMachine } from './machine.ts'

const REPORTER = fileURLToPath(new URL('inside/event-reporter.ts', import.meta.url))
const LANES = fileURLToPath(new URL('inside/run-lanes.ts', import.meta.url))
const SERVER = fileURLToPath(new URL('../../main.ts', import.meta.url))

/** As many as the smallest machine that these tests are meant for. */
const PROCESSORS = 2

export interface InsideTestsOptions
  extends Omit<MachineOptions, 'command' | 'processors' | 'stdout' | 'stderr'> {
  /** Only tests whose name matches: the pattern of `node --test-name-pattern`. */
  readonly pattern?: string
}

/**
 * Boots the test machine once and runs test files in it. Each of their tests becomes a subtest of `t`, as it ends.
 *
 * @param lanes files that run one after the other in one process, beside those of the other lanes; the first PROCESSORS
 * lanes have a processor each, and leave to the others what they do not need of it
 */
export async function runInsideTests(
  t: TestContext,
  lanes: readonly (readonly string[])[],
  options: InsideTestsOptions = {},
): Promise<void> {
  const { pattern, ...machine } = options
  await using bundles = await temporaryDirectory('inside')
  const programs = await Promise.all(lanes.map((files, lane) => laneProgram(files, lane, bundles.path)))
  const [server, reporter, runner, ...packed] = await bundle(
    [SERVER, REPORTER, LANES, ...programs],
    bundles.path,
  )
  const stdout = new PassThrough()
  const [{ exitCode, bootMs }, outcomes] = await Promise.all([
    runInMachine({
      signal: t.signal,
      ...machine,
      env: { ...machine.env, DISKFERRY_TEST_SERVER: server! },
      processors: Math.min(PROCESSORS, lanes.length),
      command: [process.execPath, ...[runner!, reporter!, pattern ?? '', ...packed]],
      stdout,
      stderr: process.stderr,
    }).finally(() => stdout.end()),
    relay(t, stdout),
  ])
  t.diagnostic(`The machine booted in ${(bootMs / 1000).toFixed(1)} s.`)
  for (const { name, seconds, notes } of outcomes) {
    t.diagnostic(`${seconds.toFixed(1)} s: ${name}`)
    for (const note of notes) t.diagnostic(`  ${note}`)
  }
  if (outcomes.length === 0) throw new Error(`No test ran in the machine; node ended with ${exitCode}.`)
  if (exitCode !== 0 && outcomes.every(({ error }) => error === undefined)) {
    throw new Error(`Every test in the machine passed, but node ended with ${exitCode}.`)
  }
}

/**
 * One program for all test files of a lane, which run in their order: each start of node takes seconds, and what it has
 * compiled serves the next file, too.
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
  const lastOf = new Map<string, InsideOutcome>()
  for await (const line of createInterface({ input: lines })) {
    const [lane] = line.split(' ', 1) as [string]
    const outcome = JSON.parse(line.slice(lane.length)) as InsideOutcome | InsideNote
    if ('note' in outcome) {
      lastOf.get(lane)?.notes.push(outcome.note)
      continue
    }
    lastOf.set(lane, outcome)
    if (outcome.skipped === UNMATCHED) continue
    outcomes.push(outcome)
    await t.test(outcome.name, (inside) => {
      if (outcome.skipped !== undefined) inside.skip(outcome.skipped)
      if (outcome.error !== undefined) throw new Error(outcome.error)
    })
  }
  return outcomes
}
