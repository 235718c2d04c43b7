import { performance } from 'node:perf_hooks'

/**
 * Leaves out as much of a failing list as possible so that it still fails: halves, then quarters, down to single items,
 * again and again (delta debugging, https://doi.org/10.1109/32.988498).
 *
 * @param fails plays a list again; what it fails of does not matter
 * @param budgetMs after which the smallest list so far is taken
 */
export async function shrinkHistory<Item>(
  items: readonly Item[],
  fails: (items: readonly Item[]) => Promise<boolean>,
  budgetMs: number,
): Promise<readonly Item[]> {
  const end = performance.now() + budgetMs
  let smallest = items
  let parts = 2
  while (smallest.length > 1) {
    const shorter = await firstFailing(withoutOnePart(smallest, parts), fails, end)
    if (performance.now() > end) return shorter ?? smallest
    if (shorter !== undefined) {
      smallest = shorter
      parts = Math.max(2, parts - 1)
    } else if (parts >= smallest.length) {
      return smallest
    } else {
      parts = Math.min(smallest.length, parts * 2)
    }
  }
  return smallest
}

async function firstFailing<Item>(
  candidates: Iterable<readonly Item[]>,
  fails: (items: readonly Item[]) => Promise<boolean>,
  end: number,
): Promise<readonly Item[] | undefined> {
  for (const candidate of candidates) {
    if (performance.now() > end) return undefined
    if (await fails(candidate)) return candidate
  }
  return undefined
}

/** From the end: what comes last is most often in vain. */
function* withoutOnePart<Item>(items: readonly Item[], parts: number): Generator<readonly Item[]> {
  for (let part = parts - 1; part >= 0; part--) {
    const from = Math.floor((items.length * part) / parts)
    const to = Math.floor((items.length * (part + 1)) / parts)
    if (to > from) yield [...items.slice(0, from), ...items.slice(to)]
  }
}
