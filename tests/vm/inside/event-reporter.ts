import type { TestEvent } from 'node:test/reporters'

/** What one test inside the machine came to, as `inside-tests.ts` reads it from a line of JSON. */
export interface InsideOutcome {
  readonly name: string
  /** Why it failed; left out when it passed. */
  readonly error?: string
  /** The reason of a skip. */
  readonly skipped?: string
  readonly seconds: number
}

/** A reporter for node's test runner: one line for each test that is not part of another. */
export default async function* eventReporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of source) {
    if (type === 'test:pass' || type === 'test:fail') {
      if (data.nesting > 0) continue
      const outcome: InsideOutcome = {
        name: data.name,
        seconds: data.details.duration_ms / 1000,
        ...(type === 'test:fail' ? { error: explain(data.details.error) } : {}),
        ...(typeof data.skip === 'string' ? { skipped: data.skip } : {}),
      }
      yield `${JSON.stringify(outcome)}\n`
    } else if (type === 'test:stdout' || type === 'test:stderr') {
      process.stderr.write(data.message)
    }
  }
}

/** The runner wraps what a test threw. */
function explain(error: Error): string {
  const { cause } = error
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? error.stack ?? error)
}
