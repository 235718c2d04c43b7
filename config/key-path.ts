/**
 * Names of places in a configuration file, as messages show them: `static.vms[0].disks[1].path`. The first item
 * of an array has number 0. A key that needs quotes in TOML is quoted here as well.
 */

/** The name of a key in a table; the document itself is the empty name. */
export function childPath(table: string, key: string): string {
  const name = /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key)
  return table === '' ? name : `${table}.${name}`
}

/** The name of an item of an array. */
export function itemPath(array: string, index: number): string {
  return `${array}[${index}]`
}

/** The table or array around a place whose own key needs no quotes; undefined for the document itself. */
export function parentPath(path: string): string | undefined {
  if (path === '') return undefined
  return path.replace(/(?:^|\.)[A-Za-z0-9_-]+$|\[\d+\]$/, '')
}

/** `static.vms[].name` with the numbers filled in: `static.vms[3].name`. */
export function withIndices(path: string, indices: readonly number[]): string {
  let next = 0
  return path.replaceAll('[]', () => `[${indices[next++]}]`)
}
