import type { TestEvent } from 'node:test/reporters'

/** What one test inside the machine came to, as `inside-tests.ts` reads it from a line of JSON. */
export interface InsideOutcome {
  readonly name: string
  /** Why it failed, with those of its subtests that did; left out when it passed. */
  readonly error?: string
  /** The reason of a skip. */
  readonly skipped?: string
  readonly seconds: number
  /** The diagnostics of its subtests, and which of them were skipped and why. */
  readonly notes: string[]
}

/** A diagnostic of a test, which comes after its outcome. */
export interface InsideNote {
  readonly note: string
}

/** The failure of a test of which only subtests failed. */
const BY_SUBTESTS = 'subtestsFailed'

/** The runner ends with its counts, as diagnostics. */
const COUNT = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/

/** A reporter for node's test runner: a line for each test that is not part of another, and for its diagnostics. */
export default async function* eventReporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let notes: string[] = []
  let failures: string[] = []
  for await (const { type, data } of source) {
    if (type === 'test:diagnostic') {
      if (data.nesting > 0) notes.push(data.message)
      else if (!COUNT.test(data.message))
        yield `${JSON.stringify({ note: data.message } satisfies InsideNote)}\n`
    } else if (type === 'test:stdout' || type === 'test:stderr') process.stderr.write(data.message)
    else if (type === 'test:pass' || type === 'test:fail') {
      const { name, skip, nesting } = data
      if (type === 'test:fail') failures.push(...explain(data.details.error, nesting > 0 ? name : undefined))
      if (nesting > 0) {
        if (typeof skip === 'string') notes.push(`skipped: ${name} (${skip})`)
        continue
      }
      const outcome: InsideOutcome = {
        name,
        seconds: data.details.duration_ms / 1000,
        notes,
        ...(type === 'test:fail' ? { error: failures.join('\n') } : {}),
        ...(typeof skip === 'string' ? { skipped: skip } : {}),
      }
      notes = []
      failures = []
      yield `${JSON.stringify(outcome)}\n`
    }
  }
}

/** The runner wraps what a test threw. */
function explain(error: Error, subtest: string | undefined): readonly string[] {
  const { cause, failureType } = error as Error & { readonly failureType?: string }
  if (failureType === BY_SUBTESTS && subtest !== undefined) return []
  const said = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? error.stack ?? error)
  return [subtest === undefined ? said : `${subtest}: ${said}`]
}
