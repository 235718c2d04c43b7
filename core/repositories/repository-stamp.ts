import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { link, open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DiskferryError, systemCode } from '../errors.ts'
import type { HeldPath, HoldBeneath } from '../held-path.ts'
import { ensureFolder } from './ensure-folder.ts'
import { SNAPSHOTS_FOLDER } from './paths.ts'
import type { PinnedRoot } from './pinned-root.ts'
import { makeTrialFolder } from './trial-folder.ts'

/**
 * Tells one repository from another that is mounted in its place: a random id, made at the first snapshot. An
 * administrator may add ids, one a line, of repositories for which this one stands in.
 */
export const STAMP_FILE = '.repository'

const STAMP = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const MOST_BYTES = 65_536
/** A FIFO must not be waited for, and a link leads to a place that nobody checked. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const NO_FILE: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ELOOP', 'ENXIO', 'EISDIR'])
const NO_LINKS: ReadonlySet<string | undefined> = new Set(['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS'])
/** Where something else than a folder is in its place, or mounted on it: who goes there is refused. */
const OUT_OF_REACH: ReadonlySet<string | undefined> = new Set(['ENOTDIR', 'ELOOP', 'EXDEV'])

/** How long another server may take to write the few bytes of its new file. */
const READ_TRIES = 20
const READ_PAUSE_MS = 100

/** `none`: there is no folder for snapshots. `out-of-reach`: nothing that is asked for beneath it is found either. */
export type Stamps = readonly string[] | 'none' | 'out-of-reach'

/** The stamps of a repository. To be called under the watch of its mount. @throws the system's error */
export async function readStamps(root: string, hold: HoldBeneath): Promise<Stamps> {
  let held: HeldPath
  try {
    held = await hold(root, join(root, SNAPSHOTS_FOLDER))
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 'none'
    if (OUT_OF_REACH.has(systemCode(error))) return 'out-of-reach'
    throw error
  }
  await using folder = held
  return folder.stats.isDirectory() ? await stampsIn(folder.path) : 'out-of-reach'
}

/**
 * The stamp of a repository, made when it has none. Servers that make it at once, on several hosts too, get the same.
 *
 * @throws CLONE_FAILED for a file that is none of ours, or the system's error
 */
export async function ensureStamp(root: string, pinned: PinnedRoot): Promise<string> {
  const folder = join(root, SNAPSHOTS_FOLDER)
  await ensureFolder(pinned.at(folder))
  await using held = await pinned.hold(root, folder)
  const [known] = await stampsIn(held.path)
  if (known !== undefined) return known
  await makeStamp(held.path)
  for (let tries = 0; tries < READ_TRIES; tries++) {
    const [made] = await stampsIn(held.path)
    if (made !== undefined) return made
    await delay(READ_PAUSE_MS)
  }
  const file = join(folder, STAMP_FILE)
  throw new DiskferryError(
    'CLONE_FAILED',
    `'${file}' should hold the id of the repository and holds none: if snapshots of it have a "repositoryStamp" in their snapshot.json write that into it, else remove it`,
  )
}

async function stampsIn(folder: string): Promise<readonly string[]> {
  try {
    await using handle = await open(join(folder, STAMP_FILE), FLAGS)
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MOST_BYTES), 0, MOST_BYTES, 0)
    const lines = buffer.toString('latin1', 0, bytesRead).split('\n')
    return lines.map((line) => line.trim()).filter((line) => STAMP.test(line))
  } catch (error) {
    if (NO_FILE.has(systemCode(error))) return []
    throw error
  }
}

/** Whole or absent, and on the disk when this returns; does nothing when somebody else was first. */
async function makeStamp(folder: string): Promise<void> {
  await using trial = await makeTrialFolder(folder)
  const temporary = join(trial.path, 'stamp')
  const text = `${randomUUID()}\n`
  await writeNew(temporary, text)
  const file = join(folder, STAMP_FILE)
  try {
    // Unlike rename(2) it never replaces one that another server has recorded already.
    await link(temporary, file).catch((error: unknown) => {
      if (NO_LINKS.has(systemCode(error))) return writeNew(file, text)
      throw error
    })
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
  await using handle = await open(folder, 'r')
  await handle.sync()
}

async function writeNew(file: string, text: string): Promise<void> {
  await using handle = await open(file, 'wx', 0o640)
  await handle.writeFile(text)
  await handle.sync()
}
