import { release } from 'node:os'
import type { Writable } from 'node:stream'
import type { CheckResult, Suite } from '../../conformance/index.ts'
import { type Report, round, totalsOf } from './report.ts'

/** For a program: one JSON object, when all is done. docs/conformance.md has its members. */
export function jsonReport({ backend, directory, mount, settings }: Suite, output: Writable): Report {
  const results: CheckResult[] = []
  return {
    add(result) {
      results.push(result)
    },
    end(whole) {
      const { seeds, extents, fullDiskBytes } = settings
      const document = {
        backend: backend.manifest,
        directory,
        mount,
        kernel: release(),
        node: process.version,
        seeds,
        extents,
        fullDiskBytes,
        ...totalsOf(results),
        interrupted: !whole,
        // The error itself is for a debugger; its message is the reason.
        checks: results.map(({ error: _, seconds, ...result }) => ({
          ...result,
          seconds: round(seconds, 3),
        })),
      }
      output.write(`${JSON.stringify(document, undefined, 2)}\n`)
    },
  }
}
