import type { Region } from './regions.ts'

interface Addressed extends Region {
  readonly physicalStart: number | null
  readonly unwritten: boolean
}

/** The ranges for which two maps name the same address: what a difference by address takes for unchanged. */
export function sameAddress(left: readonly Addressed[], right: readonly Addressed[]): readonly Region[] {
  const found: Region[] = []
  let [leftIndex, rightIndex] = [0, 0]
  while (leftIndex < left.length && rightIndex < right.length) {
    const [one, other] = [left[leftIndex]!, right[rightIndex]!]
    const start = Math.max(one.start, other.start)
    const end = Math.min(one.start + one.length, other.start + other.length)
    if (start < end && addressAt(one, start) !== null && addressAt(one, start) === addressAt(other, start)) {
      found.push({ start, length: end - start })
    }
    if (one.start + one.length === end) leftIndex++
    if (other.start + other.length === end) rightIndex++
  }
  return found
}

/** The first byte of `ranges` that no range of `cover` holds; both ascending. */
export function firstUncovered(ranges: readonly Region[], cover: readonly Region[]): number | undefined {
  let index = 0
  for (const { start, length } of ranges) {
    for (let at = start; at < start + length; ) {
      while (index < cover.length && cover[index]!.start + cover[index]!.length <= at) index++
      const holder = cover[index]
      if (holder === undefined || holder.start > at) return at
      at = Math.min(start + length, holder.start + holder.length)
    }
  }
  return undefined
}

function addressAt({ start, physicalStart, unwritten }: Addressed, position: number): number | null {
  return physicalStart === null || unwritten ? null : physicalStart + (position - start)
}
