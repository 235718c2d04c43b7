import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { BackendChoice, BackendRegistry } from '../backends/backend-registry.ts'
import { TRIAL_PREFIX } from '../backends/trial-clone.ts'
import { describe, systemCode } from '../errors.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import type { Mount } from '../storage-backend.ts'
import { ensureFolder } from './ensure-folder.ts'
import { SNAPSHOTS_FOLDER } from './paths.ts'

/** A check writes to the repository, so a list that is asked for every second must not check every time. */
const FRESH_FOR_MS = 60_000
const STALE_TRIAL_MS = 3_600_000

interface Entry {
  readonly choice: Promise<BackendChoice>
  readonly until: number
}

/** Remembers which backend a mount got, for a minute, or until the mount or its options change. */
export class CompatibilityCache {
  readonly #registry: BackendRegistry
  readonly #watches: MountWatches
  readonly #entries = new Map<string, Entry>()

  constructor(registry: BackendRegistry, watches: MountWatches) {
    this.#registry = registry
    this.#watches = watches
  }

  /**
   * @param fresh check now, whatever is remembered
   * @throws REPOSITORY_NOT_RESPONDING
   */
  choose(root: string, mount: Mount, fresh: boolean): Promise<BackendChoice> {
    const now = Date.now()
    for (const [key, entry] of this.#entries) {
      if (entry.until <= now) this.#entries.delete(key)
    }
    const { mountId, device, options } = mount
    const key = JSON.stringify([root, mountId, device, options])
    const known = this.#entries.get(key)
    if (known !== undefined && !fresh) return known.choice
    // No signal: several callers may wait for one check, and the first to go away must not end it.
    const choice = this.#watches.run([root], (signal) => this.#check(root, mount, signal))
    const entry = { choice, until: now + FRESH_FOR_MS }
    this.#entries.set(key, entry)
    choice.catch(() => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key)
    })
    return choice
  }

  async #check(root: string, mount: Mount, signal: AbortSignal): Promise<BackendChoice> {
    const trialDirectory = join(root, SNAPSHOTS_FOLDER)
    if (this.#registry.knows(mount)) {
      try {
        await ensureFolder(trialDirectory)
        await removeStaleTrials(trialDirectory)
      } catch (error) {
        return { backend: undefined, reasons: [folderReason(trialDirectory, error)] }
      }
    }
    return this.#registry.choose({ mount, trialDirectory }, signal)
  }
}

/** Trial files of a program that was killed in the middle of a check. */
async function removeStaleTrials(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(TRIAL_PREFIX)) continue
    const path = join(directory, name)
    try {
      const { mtimeMs } = await stat(path)
      if (Date.now() - mtimeMs > STALE_TRIAL_MS) await rm(path, { force: true })
    } catch (error) {
      // Another check has ended meanwhile, here or in another process, and took its own files away.
      if (systemCode(error) !== 'ENOENT') throw error
    }
  }
}

function folderReason(directory: string, error: unknown): string {
  switch (systemCode(error)) {
    case 'EROFS':
      return `mounted read-only: snapshots can't be written to '${directory}'`
    case 'ENOSPC':
    case 'EDQUOT':
      return `the filesystem of '${directory}' is full: free some space`
    default:
      return `the folder for snapshots '${directory}' can't be made or read: ${describe(error)}`
  }
}
