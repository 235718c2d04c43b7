import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

export const SNAPSHOTS = 'CoriolisSnapshots'
/** The locks of VMs, which stay for ever. */
const LOCKS = '.locks'

/** The names of all that lies in a repository's folder for snapshots, sorted, but for the locks. */
export async function snapshotFolders(mount: string): Promise<string[]> {
  return (await readdir(join(mount, SNAPSHOTS))).filter((name) => name !== LOCKS).sort()
}

/** The paths of all that lies below it, sorted, but for the locks. */
export async function snapshotFiles(mount: string): Promise<string[]> {
  const folder = join(mount, SNAPSHOTS)
  const paths = (await readdir(folder, { recursive: true })).filter((path) => path.split('/')[0] !== LOCKS)
  return paths.map((path) => join(folder, path)).sort()
}
