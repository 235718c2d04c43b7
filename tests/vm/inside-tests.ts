import { createInterface } from 'node:readline'
import { PassThrough } from 'node:stream'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { InsideOutcome } from './inside/event-reporter.ts'
import { type MachineOptions, runInMachine } from './machine.ts'

const REPORTER = fileURLToPath(new URL('inside/event-reporter.ts', import.meta.url))

export type InsideTestsOptions = Omit<MachineOptions, 'command' | 'stdout' | 'stderr'>

/**
 * Boots the test machine once and runs test files in it, one after the other. Each of their tests becomes a
 * subtest of `t`, as it ends.
 */
export async function runInsideTests(
  t: TestContext,
  files: readonly string[],
  options: InsideTestsOptions = {},
): Promise<void> {
  const stdout = new PassThrough()
  const runner = ['--import', 'tsx', '--test', '--test-concurrency=1', `--test-reporter=${REPORTER}`]
  const [{ exitCode, bootMs }, outcomes] = await Promise.all([
    runInMachine({
      signal: t.signal,
      ...options,
      command: [process.execPath, ...runner, '--test-reporter-destination=stdout', ...files],
      stdout,
      stderr: process.stderr,
    }).finally(() => stdout.end()),
    relay(t, stdout),
  ])
  t.diagnostic(`The machine booted in ${(bootMs / 1000).toFixed(1)} s.`)
  for (const { name, seconds } of outcomes) t.diagnostic(`${seconds.toFixed(1)} s: ${name}`)
  if (outcomes.length === 0) throw new Error(`No test ran in the machine; node ended with ${exitCode}.`)
  if (exitCode !== 0 && outcomes.every(({ error }) => error === undefined)) {
    throw new Error(`Every test in the machine passed, but node ended with ${exitCode}.`)
  }
}

async function relay(t: TestContext, lines: PassThrough): Promise<readonly InsideOutcome[]> {
  const outcomes: InsideOutcome[] = []
  for await (const line of createInterface({ input: lines })) {
    const outcome = JSON.parse(line) as InsideOutcome
    outcomes.push(outcome)
    await t.test(outcome.name, (test) => {
      if (outcome.skipped !== undefined) test.skip(outcome.skipped)
      if (outcome.error !== undefined) throw new Error(outcome.error)
    })
  }
  return outcomes
}
