import type { CheckResult } from '../../conformance/index.ts'

/** Takes the results as they come. */
export interface Report {
  add(result: CheckResult): void
  /** @param whole false when the run was interrupted */
  end(whole: boolean): void
}

export interface Totals {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly seconds: number
  /** How many times the bytes that differ were reported, over all differences; null when none differed. */
  readonly overReport: number | null
}

export function totalsOf(results: readonly CheckResult[]): Totals {
  const count = (outcome: CheckResult['outcome']) =>
    results.filter((result) => result.outcome === outcome).length
  const sum = (member: 'seconds' | 'differingBytes' | 'reportedBytes') =>
    results.reduce((total, result) => total + result[member], 0)
  const differing = sum('differingBytes')
  return {
    passed: count('passed'),
    failed: count('failed'),
    skipped: count('skipped'),
    seconds: round(sum('seconds'), 3),
    overReport: differing === 0 ? null : round(sum('reportedBytes') / differing, 2),
  }
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
