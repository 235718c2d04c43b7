import { realpath, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { faultPoint } from '../fault-points.ts'
import { isThere } from '../is-there.ts'
import { syncFolder } from '../snapshots/snapshot-folder.ts'

/** What SQLite keeps beside a database; https://www.sqlite.org/tempfiles.html */
const COMPANIONS = ['-journal', '-wal', '-shm'] as const

/**
 * Renames a broken database to `<file>.broken-<time>`, and its journal with it.
 *
 * @returns its new name
 * @throws the system's error
 */
export async function setAside(file: string): Promise<string> {
  const real = await realpath(file)
  const aside = await freeName(`${real}.broken-${new Date().toISOString().replaceAll(':', '-')}`)
  // First: SQLite deletes a journal whose database is not there, but would take a broken database without its journal
  // for a whole one.
  await rename(real, aside)
  faultPoint('database.broken-aside')
  for (const suffix of COMPANIONS) {
    if (await isThere(real + suffix)) await rename(real + suffix, aside + suffix)
  }
  faultPoint('database.journal-aside')
  await syncFolder(dirname(real))
  return aside
}

async function freeName(name: string): Promise<string> {
  for (let count = 1; ; count++) {
    const candidate = count === 1 ? name : `${name}-${count}`
    if (!(await isThere(candidate))) return candidate
  }
}
