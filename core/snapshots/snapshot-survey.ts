import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, systemCode } from '../errors.ts'
import type { HoldBeneath } from '../held-path.ts'
import type { MountWatch } from '../mounts/mount-watch.ts'
import { SNAPSHOTS_FOLDER } from '../repositories/paths.ts'
import { isReservedName } from '../vms/disk-names.ts'
import { holdFolder } from './hold-folder.ts'
import { type Manifest, readManifest } from './read-manifest.ts'
import { holdSnapshotFolder, SNAPSHOT_ID } from './snapshot-folder.ts'
import { MANIFEST_NAME, RETIRED_NAME, UNFINISHED_NAME } from './snapshot-manifest.ts'

/**
 * `whole`: it has a `snapshot.json` that can be believed. `unreadable`: it has one that can't. `unfinished`, `deleting`:
 * a program was killed, or is at it. `plain`: there is none, as in the snapshots of the Coriolis OVM exporter.
 */
export type FolderState = 'whole' | 'unreadable' | 'unfinished' | 'deleting' | 'plain'

export interface SurveyedFolder {
  readonly id: string
  readonly root: string
  readonly state: FolderState
  /** Of a `whole` one; of an unfinished or a deleted one too, when it can be read. */
  readonly manifest?: Manifest
  /** Why it is `unreadable`. */
  readonly reason?: string
  /** Files that may be disks, by name. */
  readonly files: readonly SurveyedFile[]
  /** When the last file came to it or went. */
  readonly modifiedAt: Date
}

export interface SurveyedFile {
  readonly name: string
  /** Bytes. */
  readonly size: number
}

/**
 * Looks at every folder of a snapshot in a repository, one after the other, and changes nothing. What else lies there,
 * links too, is passed over; what is read is read in a folder that is held. Yields nothing where there is no folder for
 * snapshots.
 *
 * @param root the repository's folder without links; the caller knows that it is mounted
 * @param watch over its mount; each step is a turn of its own, so that whoever takes long between two keeps none
 * @throws REPOSITORY_NOT_RESPONDING, or the system's error
 */
export async function* surveySnapshots(
  root: string,
  watch: MountWatch,
  hold: HoldBeneath,
  signal?: AbortSignal,
): AsyncGenerator<SurveyedFolder> {
  const folders = survey(root, hold, signal)
  try {
    for (;;) {
      const next = await watch.run(() => folders.next(), signal)
      if (next.done) return
      yield next.value
    }
  } finally {
    await watch.release(async () => void (await folders.return(undefined)))
  }
}

async function* survey(
  root: string,
  hold: HoldBeneath,
  signal: AbortSignal | undefined,
): AsyncGenerator<SurveyedFolder, undefined> {
  await using parent = await holdFolder(root, join(root, SNAPSHOTS_FOLDER), hold)
  if (parent === undefined) return
  for await (const { name } of await opendir(parent.path)) {
    signal?.throwIfAborted()
    if (!SNAPSHOT_ID.test(name)) continue
    const folder = await surveySnapshot(root, name, hold)
    if (folder !== undefined) yield folder
  }
}

/** One of them; undefined when there is no such folder. To be called under the watch of its mount. */
export async function surveySnapshot(
  root: string,
  id: string,
  hold: HoldBeneath,
): Promise<SurveyedFolder | undefined> {
  await using folder = await holdSnapshotFolder(root, id, hold)
  if (folder === undefined) return undefined
  const { path, stats } = folder
  try {
    const { names, files } = await list(path)
    const common = { id, root, files, modifiedAt: stats.mtime }
    if (names.has(MANIFEST_NAME)) return { ...common, ...(await whole(join(path, MANIFEST_NAME), id)) }
    for (const [name, state] of HALF_STATES) {
      if (names.has(name)) return { ...common, state, ...(await asFarAsReadable(join(path, name), id)) }
    }
    return { ...common, state: 'plain' }
  } catch (error) {
    // Deleted while it was looked at.
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

const HALF_STATES = [
  [RETIRED_NAME, 'deleting'],
  [UNFINISHED_NAME, 'unfinished'],
] as const

async function list(folder: string) {
  const names = new Set<string>()
  const files: SurveyedFile[] = []
  for await (const entry of await opendir(folder)) {
    names.add(entry.name)
    const status = await lstat(join(folder, entry.name))
    if (status.isFile() && !isReservedName(entry.name) && !entry.name.startsWith('.clone-'))
      files.push({ name: entry.name, size: status.size })
  }
  return { names, files: files.sort((left, right) => (left.name < right.name ? -1 : 1)) }
}

async function whole(file: string, id: string) {
  try {
    return { state: 'whole' as const, manifest: await readManifest(file, id) }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') throw error
    return { state: 'unreadable' as const, reason: `${MANIFEST_NAME}: ${describe(error)}` }
  }
}

/** That of a program that was killed may be half there; it only tells whose the folder was. */
async function asFarAsReadable(file: string, id: string) {
  try {
    return { manifest: await readManifest(file, id) }
  } catch {
    return {}
  }
}
