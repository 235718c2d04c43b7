import { resolve, sep } from 'node:path'

/** The ancestor's folder for snapshots, in each repository: an upgrade finds them there. */
export const SNAPSHOTS_FOLDER = 'CoriolisSnapshots'

/** Is `path` the folder or something below it? By whole names: `/a/bc` is not inside `/a/b`. */
export function isInside(folder: string, path: string): boolean {
  return holds(resolve(folder), resolve(path))
}

/** Of two paths that `resolve` made. */
function holds(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder === sep ? sep : folder + sep)
}

/** The item whose folder is the longest parent of `path`; undefined when none is. */
export function longestParent<Item>(
  items: readonly Item[],
  folderOf: (item: Item) => string,
  path: string,
): Item | undefined {
  const resolved = resolve(path)
  let best: Item | undefined
  for (const item of items) {
    if (!holds(resolve(folderOf(item)), resolved)) continue
    // Of two mounts on one folder the later one hides the earlier.
    if (best === undefined || folderOf(item).length >= folderOf(best).length) best = item
  }
  return best
}
