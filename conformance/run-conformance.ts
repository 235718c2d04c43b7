import type { Check, CheckGroup, CheckResult } from './check.ts'
import { CHECK_GROUPS } from './checks.ts'
import type { ConformanceOptions } from './options.ts'
import { runCheck } from './run-check.ts'
import { openSuite, type Suite } from './suite.ts'

/** A check with its place in the suite. */
export interface SelectedCheck {
  readonly group: string
  readonly check: Check
}

/** The checks whose name, or whose group's name, matches; all without a pattern. */
export function selectChecks(
  only?: RegExp,
  groups: readonly CheckGroup[] = CHECK_GROUPS,
): readonly SelectedCheck[] {
  return groups.flatMap(({ name, checks }) =>
    checks
      .filter((check) => only === undefined || only.test(check.name) || only.test(name))
      .map((check) => ({ group: name, check })),
  )
}

export interface ConformanceRun {
  readonly suite: Suite
  readonly checks: readonly SelectedCheck[]
  /** Runs the checks, one after the other, as they are asked for. Ends early when the signal is aborted. */
  readonly results: AsyncIterable<CheckResult>
}

/**
 * Runs the suite without a test runner.
 * @throws USAGE for a folder or an option that can't be used; BACKEND_INVALID when there is no backend
 */
export async function runConformance(
  options: ConformanceOptions,
  signal?: AbortSignal,
): Promise<ConformanceRun> {
  const suite = await openSuite(options)
  const checks = selectChecks(options.only)
  return { suite, checks, results: resultsOf(suite, checks, signal) }
}

async function* resultsOf(
  suite: Suite,
  checks: readonly SelectedCheck[],
  signal: AbortSignal | undefined,
): AsyncGenerator<CheckResult> {
  for (const { group, check } of checks) {
    if (signal?.aborted) return
    const result = await runCheck(suite, group, check, signal)
    // What an abort broke off says nothing of the backend.
    if (signal?.aborted) return
    yield result
  }
}
