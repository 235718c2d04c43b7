import { DiskferryError } from 'diskferry/core'

/** Where blocks may be moved: the disk itself, or the snapshot of this number (modulo how many there are). */
export type MovedFile = 'disk' | number

/**
 * One thing that is done to a disk or below it. Numbers are bytes. Any list of steps can be played: what does not fit the
 * disk any more because an earlier step was left out is cut to it, or does nothing.
 */
export type Step =
  | {
      readonly do: 'write' | 'write-compressible'
      readonly start: number
      readonly length: number
      readonly generation: number
    }
  | { readonly do: 'write-zeros' | 'rewrite'; readonly start: number; readonly length: number }
  | {
      readonly do: 'punch-hole' | 'zero-range' | 'allocate' | 'keep-size'
      readonly start: number
      readonly length: number
    }
  | { readonly do: 'share'; readonly from: number; readonly start: number; readonly length: number }
  | { readonly do: 'truncate'; readonly size: number }
  | { readonly do: 'relocate'; readonly file: MovedFile; readonly start: number; readonly length: number }
  | { readonly do: 'copy-and-rename' | 'defragment'; readonly file: MovedFile }
  | { readonly do: 'sync' | 'snapshot' }

export type StepName = Step['do']

/** No history makes a disk larger. */
export const MOST_DISK_BYTES = 4 * 1024 * 1024
const MOST_STEPS = 10_000

const MEMBERS: Readonly<Record<StepName, readonly string[]>> = {
  write: ['start', 'length', 'generation'],
  'write-compressible': ['start', 'length', 'generation'],
  'write-zeros': ['start', 'length'],
  rewrite: ['start', 'length'],
  'punch-hole': ['start', 'length'],
  'zero-range': ['start', 'length'],
  allocate: ['start', 'length'],
  'keep-size': ['start', 'length'],
  share: ['from', 'start', 'length'],
  truncate: ['size'],
  relocate: ['file', 'start', 'length'],
  'copy-and-rename': ['file'],
  defragment: ['file'],
  sync: [],
  snapshot: [],
}

/** A history as a failure prints it: one step a line, so that a person can read it and cut it. */
export function formatSteps(steps: readonly Step[]): string {
  return `[\n${steps.map((step) => `  ${JSON.stringify(step)}`).join(',\n')}\n]`
}

/** Reads what `formatSteps` wrote. @throws USAGE that names the step */
export function parseSteps(text: string): readonly Step[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new DiskferryError('USAGE', `the history is not JSON: ${String(cause)}`, { cause })
  }
  if (!Array.isArray(value) || value.length === 0 || value.length > MOST_STEPS) {
    throw new DiskferryError('USAGE', `a history is an array of 1 to ${MOST_STEPS} steps`)
  }
  for (const [index, step] of value.entries()) {
    const problem = stepProblem(step)
    if (problem !== undefined) throw new DiskferryError('USAGE', `step ${index} of the history ${problem}`)
  }
  return value as readonly Step[]
}

function stepProblem(step: unknown): string | undefined {
  if (typeof step !== 'object' || step === null) return 'is not an object'
  const { do: name, ...numbers } = step as Readonly<Record<string, unknown>>
  const members = Object.entries(MEMBERS).find(([known]) => known === name)?.[1]
  if (members === undefined) {
    return `does ${JSON.stringify(name)}, which is none of ${Object.keys(MEMBERS).join(', ')}`
  }
  for (const member of members) {
    const value = numbers[member]
    if (member === 'file' && value === 'disk') continue
    if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > MOST_DISK_BYTES) {
      return `has no ${member} from 0 to ${MOST_DISK_BYTES}`
    }
  }
  return undefined
}
