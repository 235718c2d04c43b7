import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

export const SNAPSHOTS = 'CoriolisSnapshots'
/** The locks of VMs and the id of the repository, which stay for ever. */
const LASTING: ReadonlySet<string | undefined> = new Set(['.locks', '.repository'])

/** The names of all that lies in a repository's folder for snapshots, sorted, but for what stays. */
export async function snapshotFolders(mount: string): Promise<string[]> {
  return (await readdir(join(mount, SNAPSHOTS))).filter((name) => !LASTING.has(name)).sort()
}

/** The paths of all that lies below it, sorted, but for what stays. */
export async function snapshotFiles(mount: string): Promise<string[]> {
  const folder = join(mount, SNAPSHOTS)
  const paths = (await readdir(folder, { recursive: true })).filter(
    (path) => !LASTING.has(path.split('/')[0]),
  )
  return paths.map((path) => join(folder, path)).sort()
}

/** Snapshot folders and trial files; the folder for them may be there or not. */
export async function leftBehind(mount: string): Promise<string[]> {
  return (await readdir(mount)).includes(SNAPSHOTS) ? snapshotFolders(mount) : []
}
