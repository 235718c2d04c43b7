export const AREAS = ['configuration', 'database', 'repositories', 'snapshots', 'orphans'] as const

/** `problem`: something does not work, or is lost. `warning`: somebody should decide, and nothing is lost meanwhile. */
export type Level = 'ok' | 'warning' | 'problem'

/** One thing that the doctor found. */
export interface Finding {
  readonly area: (typeof AREAS)[number]
  readonly level: Level
  /** What is so, of which file, VM or repository, and what to do about it. */
  readonly message: string
}

/** Readable, in the order of the areas. */
export function findingsText(findings: readonly Finding[]): string {
  const lines = AREAS.flatMap((area) =>
    findings
      .filter((finding) => finding.area === area)
      .map(({ level, message }) => `${level.padEnd(7)}  ${area}: ${message}\n`),
  )
  const count = (level: Level) => findings.filter((finding) => finding.level === level).length
  const [problems, warnings] = [count('problem'), count('warning')]
  return `${lines.join('')}\n${plural(problems, 'problem')}, ${plural(warnings, 'warning')}\n`
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
