import type { MapOptions } from '../core/services.ts'

const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True']
const FALSE = ['0', 'f', 'F', 'FALSE', 'false', 'False']

/** The spellings that the ancestor's language takes for a boolean. An empty value means the default. */
export const BOOLEAN_SPELLINGS: readonly string[] = ['', ...TRUE, ...FALSE]

/** A query's boolean; empty means the default. */
export function boolean(text: string | undefined, byDefault: boolean): boolean {
  return text === undefined || text === '' ? byDefault : TRUE.includes(text)
}

/** The query of a snapshot, as its schema lets it through. */
export interface SnapshotQuery {
  readonly squashChunks?: string
  readonly compareTo?: string
  readonly refine?: string
}

export function mapOptions(query: SnapshotQuery): MapOptions {
  return {
    squash: boolean(query.squashChunks, true),
    refine: boolean(query.refine, false),
    ...(query.compareTo ? { compareTo: query.compareTo } : {}),
  }
}
