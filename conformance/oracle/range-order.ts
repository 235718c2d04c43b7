import type { Region } from './regions.ts'

/**
 * What the contract forbids of a list of ranges, whichever operation gave it.
 *
 * @param size of the file, bytes
 * @returns a sentence about the first offence, or undefined
 */
export function rangeOrderProblem(ranges: readonly Region[], size: number): string | undefined {
  let previous: Region = { start: 0, length: 0 }
  for (const range of ranges) {
    const { start, length } = range
    const shown = `the range of ${length} bytes at ${start}`
    if (!isOffset(start) || !isOffset(length)) return `${shown} is not made of integers from 0 to 2^53 - 1`
    if (length === 0) return `${shown} is empty`
    if (start + length > size) return `${shown} ends beyond the end of the file, which has ${size} bytes`
    if (start < previous.start) return `${shown} comes after one at ${previous.start}: they are not ascending`
    if (start < previous.start + previous.length) {
      return `${shown} overlaps the one before, ${previous.length} bytes at ${previous.start}`
    }
    previous = range
  }
  return undefined
}

function isOffset(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
