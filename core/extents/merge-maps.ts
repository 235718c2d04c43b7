import type { Extent, ExtentBatch } from '../storage-backend.ts'
import { ExtentReader } from './extent-reader.ts'

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

export interface MergeInput {
  readonly base: AsyncIterable<ExtentBatch>
  readonly target: AsyncIterable<ExtentBatch>
  /** Bytes. */
  readonly baseSize: number
  readonly targetSize: number
}

/**
 * Merges two maps by range in one pass, O(extents of both), and yields every range whose bytes may differ,
 * ascending. Ranges, not extents: the same unchanged range can be one extent in one map and three in the other.
 */
export async function* mergeMaps(input: MergeInput): AsyncGenerator<MergedRange> {
  const base = new ExtentReader(input.base)
  const target = new ExtentReader(input.target)
  try {
    let position = 0
    while (position < input.targetSize) {
      const beyondBase = position >= input.baseSize
      const inTarget = await target.at(position)
      const inBase = beyondBase ? BEYOND : await base.at(position)
      const end = Math.min(
        inTarget.end,
        inBase.end,
        input.targetSize,
        beyondBase ? Number.POSITIVE_INFINITY : input.baseSize,
      )
      const kind = judge(inBase.extent, inTarget.extent, position)
      if (kind !== undefined) {
        const physicalStart = kind === 'data' ? physicalAt(inTarget.extent, position) : null
        yield {
          start: position,
          length: end - position,
          kind,
          physicalStart: physicalStart ?? 0,
          reason: inTarget.extent?.opaque ?? inBase.extent?.opaque ?? '',
        }
      }
      position = end
    }
    await drain(base, input.baseSize)
    await drain(target, input.targetSize)
  } finally {
    await base.close()
    await target.close()
  }
}

const BEYOND = { extent: undefined, end: Number.POSITIVE_INFINITY } as const

/** Whoever fingerprints a map needs to see all of it, also the base's part beyond a target that shrank. */
async function drain(reader: ExtentReader, size: number): Promise<void> {
  for (let position = 0; position < size; ) position = Math.min((await reader.at(position)).end, size)
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
