import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { describeError } from 'diskferry/core'
import type { Check, CheckResult } from './check.ts'
import { CheckContext } from './check-context.ts'
import { declaredReason, FeatureRefused } from './features.ts'
import { forgottenDescriptors, openDescriptors } from './open-descriptors.ts'
import type { Suite } from './suite.ts'
import { TimeLimit } from './time-limit.ts'

type Verdict = Pick<CheckResult, 'outcome' | 'reason' | 'error'>

/**
 * Runs one check in a folder of its own, counts the descriptors that it leaves open, and removes the folder. Never
 * throws for anything that the backend does.
 *
 * @param signal ends the whole run
 */
export async function runCheck(
  suite: Suite,
  group: string,
  check: Check,
  signal?: AbortSignal,
): Promise<CheckResult> {
  const started = performance.now()
  const folder = await mkdtemp(join(suite.directory, '.diskferry-conformance-'))
  const limit = new TimeLimit(suite.settings.timeLimitMs, signal)
  const context = new CheckContext(suite, folder, limit.signal)
  const before = openDescriptors()
  let verdict = await judge(check, context, limit)
  limit.end()
  if (verdict.outcome === 'passed') verdict = await judgeDescriptors(before)
  const cleanup = await attemptRemoval(folder)
  if (cleanup !== undefined && verdict.outcome === 'passed') verdict = failed(cleanup)
  const { notes, differingBytes, reportedBytes } = context
  const seconds = (performance.now() - started) / 1000
  return { group, name: check.name, ...verdict, seconds, notes, differingBytes, reportedBytes }
}

async function judge(check: Check, context: CheckContext, limit: TimeLimit): Promise<Verdict> {
  try {
    await Promise.race([check.run(context), limit.overrun])
    return { outcome: 'passed' }
  } catch (error) {
    if (context.signal.aborted) return failed(overdue(context, error))
    if (!(error instanceof FeatureRefused)) return failed(error)
    const { manifest } = context.backend
    const reason = declaredReason(manifest, error.feature)
    if (reason !== undefined && check.needs?.includes(error.feature)) {
      return {
        outcome: 'skipped',
        reason: `the manifest of ${manifest.name} says of ${error.feature}: ${reason}`,
      }
    }
    return failed(
      new Error(
        `${error.message}; the manifest does not say so: give the reason in manifest.unsupported['${error.feature}'], or test on a mount that can`,
        { cause: error },
      ),
    )
  }
}

async function judgeDescriptors(before: ReadonlyMap<string, string>): Promise<Verdict> {
  const forgotten = await forgottenDescriptors(before)
  if (forgotten.length === 0) return { outcome: 'passed' }
  return failed(new Error(`${forgotten.length} descriptors were left open: ${forgotten.join(', ')}`))
}

async function attemptRemoval(folder: string): Promise<Error | undefined> {
  try {
    await rm(folder, { recursive: true, force: true })
    return undefined
  } catch (cause) {
    return new Error(`the check's folder '${folder}' could not be removed: ${describeError(cause)}`, {
      cause,
    })
  }
}

function failed(error: unknown): Verdict {
  return { outcome: 'failed', reason: describeError(error), error }
}

function overdue({ signal, settings }: CheckContext, cause: unknown): Error {
  const { name } = signal.reason as { readonly name?: unknown }
  if (name !== 'TimeoutError') return new Error('it was interrupted', { cause })
  const seconds = settings.timeLimitMs / 1000
  return new Error(`it was not done after its time limit of ${seconds} s: ${describeError(cause)}`, { cause })
}
