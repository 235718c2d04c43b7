import { setTimeout as delay } from 'node:timers/promises'
import type Keyv from 'keyv'
import { DiskferryError, describe } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import type { HoldBeneath } from '../held-path.ts'
import type { Inventory, InventoryListing } from '../inventory.ts'
import { leaseBeside } from '../leases/lease-file.ts'
import type { Log } from '../log.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import { type MountedRepository, mountedRepository } from '../repositories/mounted-repository.ts'
import { addToIndex } from './add-to-index.ts'
import { placeManifest } from './place-manifest.ts'
import type { Commit, RepositoryChanges } from './repository-changes.ts'
import { rootsOf } from './snapshot-files.ts'
import type { SnapshotRecord } from './snapshot-record.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import { type SurveyedFolder, surveySnapshot, surveySnapshots } from './snapshot-survey.ts'
import type { VmLocks } from './vm-locks.ts'

/** `new`: the database was empty when it was first seen, and is to be filled from each repository once. */
type Origin = 'new' | 'filled'
const ORIGIN_KEY = 'origin'

/** How long a repository that is mounted later may wait until it is looked at, and one that the inventory gets later. */
const MOUNT_PAUSE_MS = 10_000
const INVENTORY_PAUSE_MS = 60_000

/** `pending`: there are repositories that were not looked at. `never`: this database is not to be filled. */
export type CatchUp = 'done' | 'pending' | 'never'

export interface IndexRebuilderParts {
  readonly inventory: Inventory
  readonly guard: MountGuard
  readonly watches: MountWatches
  readonly hold: HoldBeneath
  readonly store: SnapshotStore
  readonly locks: VmLocks
  readonly changes: RepositoryChanges
  /** What is done, in the same database: a new database knows of nothing that is done. */
  readonly marks: Keyv<string>
  readonly log: Log
}

/**
 * Fills a new database from the `snapshot.json` files of the repositories: each one once, when it is first seen mounted.
 * A database that had records before it was first seen by this class is left alone.
 */
export class IndexRebuilder {
  readonly #parts: IndexRebuilderParts
  /** Failures that were logged, by repository: the next attempt says nothing new. */
  readonly #failures = new Map<string, string>()

  constructor(parts: IndexRebuilderParts) {
    this.#parts = parts
  }

  /** Looks at the repositories that are mounted now and were not looked at before. Logs what fails, and tries again later. */
  async catchUp(signal?: AbortSignal): Promise<CatchUp> {
    try {
      if ((await this.origin()) === 'filled') return 'never'
      const listing = await this.#parts.inventory.read(signal)
      const mounted = await this.#mounted(listing)
      const filled = await Promise.all(
        mounted.map((repository) => this.#fillOnce(repository, listing, mounted, signal)),
      )
      this.#failures.delete('')
      return filled.filter(Boolean).length === listing.repositories.length ? 'done' : 'pending'
    } catch (error) {
      this.#failed('', {}, error, signal)
      return 'pending'
    }
  }

  /** Goes on catching up until the signal, or for as long as there may be something to do. Never rejects. */
  async keepUp(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const state = await this.catchUp(signal)
      if (state === 'never') return
      const pause = state === 'pending' ? MOUNT_PAUSE_MS : INVENTORY_PAUSE_MS
      // An abort ends the pause early.
      await delay(pause, undefined, { ref: false, signal }).catch(() => undefined)
    }
  }

  /**
   * Whether this database is to be filled. It is remembered when it is first asked: whatever writes the first record asks
   * before, or the new database would be taken for one that has all.
   *
   * @throws STORE_FAILED
   */
  async origin(): Promise<Origin> {
    const { marks, store } = this.#parts
    try {
      const known = await marks.get(ORIGIN_KEY)
      if (known === 'new' || known === 'filled') return known
      const origin = (await store.vmIds()).length === 0 ? 'new' : 'filled'
      // One that has records tells so the next time too.
      if (origin === 'filled') await marks.set(ORIGIN_KEY, origin).catch(() => undefined)
      else await marks.set(ORIGIN_KEY, origin)
      faultPoint('rebuild.begun')
      return origin
    } catch (error) {
      if (error instanceof DiskferryError) throw error
      const message = `the database could not remember whether it is new: ${describe(error)}; check db_file, the space on its filesystem and its permissions`
      throw new DiskferryError('STORE_FAILED', message, { cause: error })
    }
  }

  async #mounted({ repositories }: InventoryListing): Promise<readonly MountedRepository[]> {
    const { guard, watches, hold } = this.#parts
    const resolver = await watches.resolver()
    const found = repositories.map(async (repository) => {
      try {
        return await mountedRepository(repository, guard, resolver, hold)
      } catch (error) {
        this.#failed(repository.id, { repository: repository.id }, error)
        return undefined
      }
    })
    return (await Promise.all(found)).filter((repository) => repository !== undefined)
  }

  async #fillOnce(
    found: MountedRepository,
    listing: InventoryListing,
    mounted: readonly MountedRepository[],
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const { id, mountPoint } = found.repository
    const { marks, guard, watches, hold, log } = this.#parts
    const fields = { repository: id, mount_point: mountPoint }
    try {
      if ((await marks.get(`repository:${id}`)) !== undefined) return true
      const tally = { snapshots: 0, put_off: 0, orphans: 0, gone: 0 }
      for await (const folder of surveySnapshots(found.root, await watches.of(found.root), hold, signal)) {
        tally[await this.#index(folder, found, listing, mounted)] += 1
      }
      // Had it been unmounted meanwhile, an empty folder would have passed for a repository without snapshots.
      await guard.assertMounted(found.root, found.mount)
      await marks.set(`repository:${id}`, new Date().toISOString())
      faultPoint('rebuild.marked')
      this.#failures.delete(id)
      const { gone: _, ...told } = tally
      const { snapshots, put_off, orphans } = told
      const message = `the database is new: ${snapshots} snapshots of a repository were put into the index by their snapshot.json`
      if (snapshots + put_off + orphans === 0) log.info({ ...fields, ...told }, message)
      else log.warn({ ...fields, ...told }, message)
      return true
    } catch (error) {
      this.#failed(id, fields, error, signal)
      return false
    }
  }

  async #index(
    folder: SurveyedFolder,
    found: MountedRepository,
    { repositories }: InventoryListing,
    mounted: readonly MountedRepository[],
  ): Promise<'snapshots' | 'put_off' | 'orphans' | 'gone'> {
    const { store, log } = this.#parts
    const fields = { repository: found.repository.id, snapshot: folder.id, state: folder.state }
    faultPoint('rebuild.read')
    if (folder.state !== 'whole') {
      const reason = folder.reason ?? 'it has no snapshot.json'
      log.warn({ ...fields, reason }, ORPHAN_MESSAGE)
      return 'orphans'
    }
    const { vmId } = folder.manifest!
    const placement = placeManifest(folder.manifest!, found, repositories, mounted)
    if ('refused' in placement) {
      log.warn({ ...fields, vm: vmId, reason: placement.refused }, ORPHAN_MESSAGE)
      return 'orphans'
    }
    if ('notMounted' in placement) {
      const { mountPoint } = placement.notMounted
      log.warn(
        { ...fields, vm: vmId, not_mounted: mountPoint },
        'a snapshot has disks in a repository that is not mounted: it comes back when that is mounted',
      )
      return 'put_off'
    }
    // What an attempt before this one has recorded needs no lock.
    if ((await store.read(vmId)).snapshots.some(({ id }) => id === folder.id)) return 'snapshots'
    try {
      if (!(await this.#add(vmId, placement.record, found.root))) return 'gone'
    } catch (error) {
      if (error instanceof DiskferryError) throw error
      log.warn(
        { ...fields, vm: vmId, err: error },
        'a snapshot could not be looked at in each of its repositories: it comes back when it can',
      )
      return 'put_off'
    }
    faultPoint('rebuild.recorded')
    return 'snapshots'
  }

  /**
   * @returns false where the snapshot was deleted, by a client or another host, since it was surveyed without a lock; and
   * where it is half made or half deleted in another of its repositories
   */
  #add(vmId: string, record: SnapshotRecord, root: string): Promise<boolean> {
    const { store, locks, changes, watches, hold } = this.#parts
    const add = async (commit: Commit) => {
      const look = (home: string) => watches.run([home], () => surveySnapshot(home, record.id, hold))
      if ((await look(root))?.state !== 'whole') return false
      // A part that is not there at all makes a damaged snapshot of it, which is told of.
      for (const home of rootsOf(record).filter((other) => other !== root))
        if (((await look(home))?.state ?? 'whole') !== 'whole') return false
      const lease = await watches.run([root], () => leaseBeside(root, record.id, hold))
      await commit(() => addToIndex(store, vmId, { ...record, ...(lease !== undefined && { lease }) }))
      return true
    }
    return locks.hold(vmId, () => changes.run(rootsOf(record), vmId, add))
  }

  #failed(key: string, fields: object, error: unknown, signal?: AbortSignal): void {
    const text = describe(error)
    if (signal?.aborted || this.#failures.get(key) === text) return
    this.#failures.set(key, text)
    this.#parts.log.warn(
      { ...fields, err: error },
      `the index of snapshots can't be rebuilt now, it is tried again: ${text}`,
    )
  }
}

const ORPHAN_MESSAGE =
  'a folder of snapshots is not put into the index and not touched: `diskferry orphans list` shows it'
