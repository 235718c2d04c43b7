import type { Writable } from 'node:stream'
import type { CheckResult, SelectedCheck, Suite } from '../../conformance/index.ts'
import { type Report, totalsOf } from './report.ts'

const LABEL: Readonly<Record<CheckResult['outcome'], string>> = {
  passed: 'ok',
  failed: 'FAILED',
  skipped: 'skipped',
}
const INDENT = ' '.repeat(20)

/** For a person: each check a line as it ends, with what is to be said of it below. */
export function textReport(
  { backend, directory, mount }: Suite,
  checks: readonly SelectedCheck[],
  output: Writable,
): Report {
  const results: CheckResult[] = []
  const line = (text: string) => output.write(`${text}\n`)
  line(`Backend ${backend.manifest.name} on ${mount.filesystem}, in ${directory}; checks: ${checks.length}`)
  return {
    add(result) {
      if (result.group !== results.at(-1)?.group) line(`\n${result.group}`)
      results.push(result)
      line(`  ${LABEL[result.outcome].padEnd(8)}${result.seconds.toFixed(2).padStart(7)} s  ${result.name}`)
      for (const text of [...(result.reason === undefined ? [] : [result.reason]), ...result.notes]) {
        line(text.replace(/^/gm, INDENT))
      }
    },
    end(whole) {
      const { passed, failed, skipped, seconds, overReport } = totalsOf(results)
      line('')
      if (!whole) line(`Interrupted after ${results.length} of ${checks.length} checks.`)
      if (overReport !== null) line(`Differences reported ${overReport} times the 4 KiB blocks that differ.`)
      line(`${passed} passed, ${failed} failed, ${skipped} skipped, in ${seconds.toFixed(1)} s`)
      if (failed > 0) line('What each check means, and what to do: docs/conformance.md')
    },
  }
}
