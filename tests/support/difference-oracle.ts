import { firstDifference } from './disk-model.ts'

const BLOCK = 4096

export interface ReportedRange {
  readonly start: number
  readonly length: number
  readonly kind: 'data' | 'zero'
}

/**
 * What a client has after it applied the ranges to its copy of the base, compared with the target.
 * @returns what is wrong, or undefined when the ranges say everything and nothing false
 */
export function wrongDifference(
  base: Buffer,
  target: Buffer,
  ranges: readonly ReportedRange[],
): string | undefined {
  const copy = scratch(target.length)
  copy.fill(0, base.copy(copy))
  let end = 0
  for (const { start, length, kind } of ranges) {
    if (start < end || length <= 0 || start + length > target.length) {
      return `the range ${start}+${length} after one that ends at ${end}, in ${target.length} bytes`
    }
    end = start + length
    if (kind === 'data') target.copy(copy, start, start, end)
    else copy.fill(0, start, end)
  }
  return firstDifference(copy, target)
}

/** How many bytes of the target lie in blocks of 4 KiB that differ from the base; what the base lacks is zero. */
export function differingBlockBytes(base: Buffer, target: Buffer): number {
  const padded = scratch(target.length)
  padded.fill(0, base.copy(padded))
  let bytes = 0
  for (let start = 0; start < target.length; start += BLOCK) {
    const end = Math.min(target.length, start + BLOCK)
    if (target.compare(padded, start, end, start, end) !== 0) bytes += end - start
  }
  return bytes
}

let memory = Buffer.alloc(0)

/** Memory used again by the next call: histories compare thousands of disks, and new pages cost more than the comparison. */
function scratch(length: number): Buffer {
  if (memory.length < length) memory = Buffer.allocUnsafe(length)
  return memory.subarray(0, length)
}
