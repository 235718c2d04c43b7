import { type TestContext, test } from 'node:test'
import type { ConformanceOptions } from './options.ts'
import { runCheck } from './run-check.ts'
import { type SelectedCheck, selectChecks } from './run-conformance.ts'
import { openSuite, type Suite } from './suite.ts'

/**
 * Declares one test of node:test for each check, so that a backend's whole test file is a call of this function. Inside
 * a test of your own, hand over its context and await the result: the checks become its subtests.
 */
export async function conformance(options: ConformanceOptions, within?: TestContext): Promise<void> {
  let opened: Promise<Suite> | undefined
  const suite = () => {
    opened ??= openSuite(options)
    return opened
  }
  for (const selected of selectChecks(options.only)) {
    const { group, check } = selected
    const name = `${group}: ${check.name}`
    if (within === undefined) void test(name, (t) => runAsTest(suite, selected, t))
    else await within.test(name, (t) => runAsTest(suite, selected, t))
  }
}

async function runAsTest(
  suite: () => Promise<Suite>,
  { group, check }: SelectedCheck,
  t: TestContext,
): Promise<void> {
  const opened = await suite()
  const { outcome, reason, error, notes } = await runCheck(opened, group, check, t.signal)
  for (const note of notes) t.diagnostic(note)
  if (outcome === 'skipped') t.skip(reason)
  if (outcome === 'failed') throw error
}
