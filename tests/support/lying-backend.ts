import { type ChangedRange, contentDiff, type StorageBackend } from '../../core/index.ts'

/** How a backend lies; the ranges are bytes. */
export interface Lies {
  /** Changed ranges that it leaves out, as far as they begin here. */
  readonly hides?: readonly { readonly start: number; readonly length: number }[]
  /** Changed ranges that it calls zero, whatever is in them, as far as they begin here. */
  readonly zeroes?: readonly { readonly start: number; readonly length: number }[]
}

type Area = { readonly start: number; readonly length: number }

function beginsIn(areas: readonly Area[] | undefined, { start }: ChangedRange): boolean {
  return areas?.some((area) => start >= area.start && start < area.start + area.length) === true
}

/** A backend that finds every change, in blocks of 4 KiB, and does not tell all of them. */
export function lyingBackend(honest: StorageBackend, lies: () => Lies): StorageBackend {
  return {
    manifest: honest.manifest,
    checkCompatibility: (...args) => honest.checkCompatibility(...args),
    clone: (...args) => honest.clone(...args),
    extentMap: (...args) => honest.extentMap(...args),
    async diff(base, target, options, signal) {
      const extentMap = honest.extentMap.bind(honest)
      const { ranges } = await contentDiff({ base, target, extentMap }, options, undefined, signal)
      async function* told() {
        const { hides, zeroes } = lies()
        for await (const batch of ranges) {
          yield batch
            .filter((range) => !beginsIn(hides, range))
            .map((range) => (beginsIn(zeroes, range) ? { ...range, kind: 'zero' as const } : range))
        }
      }
      return { method: 'physical', ranges: told() }
    },
  }
}
