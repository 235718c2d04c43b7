import { join } from 'node:path'
import { describeWithAdvice, repositoryStateError } from '../backends/backend-failure.ts'
import type { BackendChoice, BackendRegistry } from '../backends/backend-registry.ts'
import { DiskferryError, systemCode } from '../errors.ts'
import type { HoldBeneath } from '../held-path.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import type { Mount } from '../storage-backend.ts'
import { ensureFolder } from './ensure-folder.ts'
import type { MountGuard } from './mount-guard.ts'
import { SNAPSHOTS_FOLDER } from './paths.ts'
import { makeTrialFolder, removeStaleTrials } from './trial-folder.ts'

/** A check writes to the repository, so a list that is asked for every second must not check every time. */
const FRESH_FOR_MS = 60_000

interface Entry {
  readonly choice: Promise<BackendChoice>
  readonly until: number
}

/** Remembers which backend a mount got, for a minute, or until the mount or its options change. */
export class CompatibilityCache {
  readonly #registry: BackendRegistry
  readonly #guard: MountGuard
  readonly #hold: HoldBeneath
  readonly #watches: MountWatches
  readonly #entries = new Map<string, Entry>()

  constructor(registry: BackendRegistry, guard: MountGuard, hold: HoldBeneath, watches: MountWatches) {
    this.#registry = registry
    this.#guard = guard
    this.#hold = hold
    this.#watches = watches
  }

  /**
   * @param fresh check now, whatever is remembered
   * @throws REPOSITORY_NOT_RESPONDING; REPOSITORY_NOT_MOUNTED when it is no longer the mount that is there
   */
  choose(root: string, mount: Mount, fresh: boolean): Promise<BackendChoice> {
    const now = performance.now()
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
    const directory = join(root, SNAPSHOTS_FOLDER)
    // Gives the reason, and writes nothing.
    if (!this.#registry.knows(mount)) return this.#registry.choose({ mount, trialDirectory: directory })
    // What the check says tells more than why its folder can't be removed.
    let choice: BackendChoice | undefined
    try {
      await using pinned = await this.#guard.pin(root, this.#hold, mount)
      await ensureFolder(pinned.at(directory))
      await using held = await pinned.hold(root, directory)
      await removeStaleTrials(held.path)
      await using trial = await makeTrialFolder(held.path)
      choice = await this.#registry.choose({ mount, trialDirectory: trial.path }, signal)
    } catch (error) {
      if (error instanceof DiskferryError && error.code === 'REPOSITORY_NOT_MOUNTED') throw error
      if (choice === undefined || choice.backend !== undefined) return unusable(directory, error)
    }
    return choice
  }
}

function unusable(directory: string, error: unknown): BackendChoice {
  const code = systemCode(error)
  if (code === 'ELOOP' || code === 'ENOTDIR') {
    const reason = `'${directory}' is a link or a file and not a folder: find out who put it there, then remove it`
    return { backend: undefined, reasons: [reason] }
  }
  const what = `the folder for snapshots '${directory}' can't be made or read`
  const refusal = repositoryStateError(error, what)
  return refusal === undefined
    ? { backend: undefined, reasons: [`${what}: ${describeWithAdvice(error)}`] }
    : { backend: undefined, reasons: [refusal.message], refusal }
}
