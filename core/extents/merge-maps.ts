import type { Extent } from '../storage-backend.ts'
import { type SideBySideInput, sideBySide } from './side-by-side.ts'

/** What two maps say of one range: it differs (`data`, `zero`), or only its content can tell (`compare`). */
export interface MergedRange {
  readonly start: number
  readonly length: number
  readonly kind: 'data' | 'zero' | 'compare'
  /** Of a `data` range, where the target keeps it; 0 when unknown. */
  readonly physicalStart: number
  /** Why a `compare` range has to be compared. */
  readonly reason: string
}

export type MergeInput = Pick<SideBySideInput, 'base' | 'target' | 'baseSize' | 'targetSize'>

/**
 * Merges two maps by range in one pass and gives every range whose bytes may differ, ascending, in batches that may be empty.
 * Ranges, not extents: the same unchanged range can be one extent in one map and three in the other. Both maps are read to
 * their ends: whoever fingerprints them needs to see all of them.
 */
export async function* mergeMaps(input: MergeInput): AsyncGenerator<readonly MergedRange[]> {
  for await (const pairs of sideBySide({ ...input, toTheEnd: true })) {
    const ranges: MergedRange[] = []
    for (const { start, end, base, target } of pairs) {
      const kind = judge(base, target, start)
      if (kind === undefined) continue
      ranges.push({
        start,
        length: end - start,
        kind,
        physicalStart: (kind === 'data' ? physicalAt(target, start) : null) ?? 0,
        reason: target?.opaque ?? base?.opaque ?? '',
      })
    }
    yield ranges
  }
}

/** Undefined where both hold the same bytes. */
function judge(
  base: Extent | undefined,
  target: Extent | undefined,
  position: number,
): MergedRange['kind'] | undefined {
  const baseReadsZero = base === undefined || base.unwritten
  if (target === undefined || target.unwritten) return baseReadsZero ? undefined : 'zero'
  if (baseReadsZero) return 'data'
  const basePhysical = physicalAt(base, position)
  const targetPhysical = physicalAt(target, position)
  if (basePhysical === null || targetPhysical === null) return 'compare'
  return basePhysical === targetPhysical ? undefined : 'data'
}

function physicalAt(extent: Extent | undefined, position: number): number | null {
  if (extent === undefined || extent.physicalStart === null) return null
  return extent.physicalStart + (position - extent.start)
}
