import { backendFailure } from '../backends/backend-failure.ts'
import { DiskferryError } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import type { HoldBeneath } from '../held-path.ts'
import type { Inventory, InventoryListing } from '../inventory.ts'
import type { Clock } from '../leases/lease-clock.ts'
import { leaseBeside } from '../leases/lease-file.ts'
import { isLive, type LeaseRecord } from '../leases/lease-record.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import { type MountedRepository, mountedRepository } from '../repositories/mounted-repository.ts'
import { addToIndex } from './add-to-index.ts'
import { pinHome } from './pin-home.ts'
import { placeManifest } from './place-manifest.ts'
import type { PlainAdoption } from './plain-adoption.ts'
import type { Commit, RepositoryChanges } from './repository-changes.ts'
import type { SnapshotFiles } from './snapshot-files.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import { type FolderState, type SurveyedFolder, surveySnapshots } from './snapshot-survey.ts'
import type { VmLocks } from './vm-locks.ts'

/** The folders of one snapshot that the index does not have, one in each repository that has a part of it. */
export interface Orphan {
  readonly id: string
  /** That of the folder that is furthest from being whole. */
  readonly state: FolderState
  /** As its `snapshot.json` says; undefined where there is none that can be believed. */
  readonly vmId?: string
  readonly createdAt?: string
  /** Why it is not usable as it is. */
  readonly reason: string
  readonly parts: readonly OrphanPart[]
}

export interface OrphanPart {
  readonly folder: SurveyedFolder
  readonly home: MountedRepository
}

export interface OrphansParts {
  readonly inventory: Inventory
  readonly guard: MountGuard
  readonly watches: MountWatches
  readonly hold: HoldBeneath
  readonly store: SnapshotStore
  readonly locks: VmLocks
  readonly changes: RepositoryChanges
  readonly files: SnapshotFiles
  readonly plain: PlainAdoption
  readonly clock: Clock
}

export interface RemovedOrphan {
  /** That it was of, as far as its `snapshot.json` said so. */
  readonly vmId: string | undefined
  /** That held it, and was overridden. */
  readonly lease: LeaseRecord | undefined
}

const WORST_FIRST = ['deleting', 'unfinished', 'unreadable', 'plain', 'whole'] as const

const REASONS: Readonly<Record<FolderState, string>> = {
  deleting: 'half deleted: some of its files may be gone',
  unfinished: 'half made, or being made by another server: it is not whole',
  unreadable: 'its snapshot.json can not be believed',
  plain: 'it has no snapshot.json: it may be of the Coriolis OVM exporter',
  whole: 'it is whole, but the database does not have it',
}

/** Finds the folders of snapshots that belong to no record, and takes them in or away when somebody asks for it. */
export class Orphans {
  readonly #parts: OrphansParts

  constructor(parts: OrphansParts) {
    this.#parts = parts
  }

  /**
   * In the repositories that are mounted now, all of which must answer: a part in one that does not may be missing.
   * @throws INVENTORY_UNREADABLE, STORE_FAILED, REPOSITORY_NOT_RESPONDING, or the system's error
   */
  async list(signal?: AbortSignal): Promise<readonly Orphan[]> {
    const { inventory, guard, watches, hold } = this.#parts
    const found = new Map<string, OrphanPart[]>()
    for (const home of await this.#mounted(await inventory.read(signal))) {
      for await (const folder of surveySnapshots(home.root, await watches.of(home.root), hold, signal)) {
        found.set(folder.id, [...(found.get(folder.id) ?? []), { folder, home }])
      }
      // Had it been unmounted meanwhile, what lies below would have passed for it.
      await guard.assertMounted(home.root, home.mount)
    }
    // After the folders: the record of a snapshot that is being made is there before its folder.
    const known = await this.#knownIds()
    return [...found.entries()]
      .filter(([id]) => !known.has(id))
      .map(([id, parts]) => orphan(id, parts))
      .sort((left, right) => (left.id < right.id ? -1 : 1))
  }

  /**
   * Takes an orphan into the index.
   *
   * @param vmId of a snapshot without `snapshot.json`; when left out it is the one VM whose disks it has
   * @returns the VM that has it now
   * @throws SNAPSHOT_NOT_FOUND, ORPHAN_REFUSED, VM_BUSY, REPOSITORY_NOT_MOUNTED
   */
  async adopt(id: string, vmId?: string, signal?: AbortSignal): Promise<string> {
    const { inventory, plain } = this.#parts
    const found = await this.#find(id, signal)
    if (found.state === 'deleting' || found.state === 'unfinished')
      throw refused(id, `${found.reason}; remove it`)
    const listing = await inventory.read(signal)
    const whole = found.state === 'whole'
    const vm = whole ? found.vmId! : plain.vmOf(found, listing, vmId)
    if (vmId !== undefined && vmId !== vm) throw refused(id, `its snapshot.json says that it is of VM ${vm}`)
    const adopt = (again: Orphan, commit: Commit) =>
      whole ? this.#adoptWhole(again, listing, commit) : plain.adopt(again, listing, vm, commit, signal)
    await this.#withLocks(found, vm, 'adopted', adopt, signal)
    faultPoint('adopt.recorded')
    return vm
  }

  /**
   * Removes an orphan's files for good.
   *
   * @param force also one that is leased: by a client of another host, or of before an old copy of the database came back
   * @throws SNAPSHOT_NOT_FOUND, ORPHAN_REFUSED, VM_BUSY, REPOSITORY_NOT_MOUNTED, REPOSITORY_READ_ONLY
   */
  async remove(
    id: string,
    { force = false }: { readonly force?: boolean } = {},
    signal?: AbortSignal,
  ): Promise<RemovedOrphan> {
    const found = await this.#find(id, signal)
    let lease: LeaseRecord | undefined
    const remove = async (again: Orphan) => {
      lease = await this.#leaseOf(again, force)
      if (lease !== undefined && !force) throw refused(id, leased(lease), 'removed')
      const removal = await this.#parts.files.removeFolders(id, rootsOf(again), `orphan ${id}`)
      if (removal === 'held')
        throw refused(
          id,
          'a program on this host still reads one of its files; end that, then remove it again',
          'removed',
        )
    }
    await this.#withLocks(found, found.vmId, 'removed', remove, signal)
    return { vmId: found.vmId, lease }
  }

  /**
   * The lease that holds one of its parts now.
   * @throws ORPHAN_REFUSED where that can't be read, unless by force; REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING
   */
  async #leaseOf({ id, parts }: Orphan, force: boolean): Promise<LeaseRecord | undefined> {
    const { guard, watches, hold, clock } = this.#parts
    const read = async (root: string) => {
      await using home = await pinHome(root, undefined, guard, hold)
      return await leaseBeside(root, id, home.hold)
    }
    for (const { home } of parts) {
      try {
        const lease = await watches.run([home.root], () => read(home.root))
        if (lease !== undefined && isLive(lease, clock())) return lease
      } catch (error) {
        const what = `snapshot ${id} can't be removed, unless by --force: whether it is leased can't be read in '${home.root}'`
        if (!force) throw backendFailure(error, 'ORPHAN_REFUSED', what)
      }
    }
    return undefined
  }

  async #adoptWhole({ id, vmId, parts }: Orphan, listing: InventoryListing, commit: Commit): Promise<void> {
    const { folder, home } = parts[0]!
    const placement = placeManifest(
      folder.manifest!,
      home,
      listing.repositories,
      await this.#mounted(listing),
    )
    if ('refused' in placement) throw refused(id, placement.refused)
    if ('notMounted' in placement) {
      throw refused(id, `it has disks in '${placement.notMounted.mountPoint}': mount that first`)
    }
    await commit(() => addToIndex(this.#parts.store, vmId!, placement.record))
  }

  /**
   * Runs `work` on what the orphan is when its VM's locks are held: another server, on this host or another, may have
   * been making it, taking it in or deleting it.
   *
   * @param vmId that it is of, or is to be of
   */
  async #withLocks(
    before: Orphan,
    vmId: string | undefined,
    wanted: Deed,
    work: (now: Orphan, commit: Commit) => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { locks, changes } = this.#parts
    const { id } = before
    const roots = rootsOf(before)
    const lookAgain = async (commit: Commit) => {
      const now = await this.#find(id, signal)
      if (
        now.state !== before.state ||
        now.vmId !== before.vmId ||
        rootsOf(now).join('\n') !== roots.join('\n')
      ) {
        throw refused(id, changedMeanwhile(before, now), wanted)
      }
      await work(now, commit)
    }
    const locked =
      vmId === undefined
        ? () => lookAgain((write) => write())
        : () => locks.hold(vmId, () => changes.run(roots, vmId, lookAgain, signal), signal)
    // Nobody else has the locks of an unknown VM, and two commands at once may be told different ones.
    await (before.vmId === undefined ? locks.hold(`orphan ${id}`, locked, signal) : locked())
  }

  async #find(id: string, signal: AbortSignal | undefined): Promise<Orphan> {
    const found = (await this.list(signal)).find((candidate) => candidate.id === id)
    if (found !== undefined) return found
    throw new DiskferryError(
      'SNAPSHOT_NOT_FOUND',
      `no mounted repository has an orphan ${JSON.stringify(id)}; \`diskferry orphans list\` shows those that there are`,
    )
  }

  async #knownIds(): Promise<ReadonlySet<string>> {
    const known = new Set<string>()
    for (const vmId of await this.#parts.store.vmIds()) {
      for (const { id } of (await this.#parts.store.read(vmId)).snapshots) known.add(id)
    }
    return known
  }

  async #mounted({ repositories }: InventoryListing): Promise<readonly MountedRepository[]> {
    const { guard, watches, hold } = this.#parts
    const resolver = await watches.resolver()
    const found = repositories.map((repository) => mountedRepository(repository, guard, resolver, hold))
    return (await Promise.all(found)).filter((repository) => repository !== undefined)
  }
}

function orphan(id: string, parts: readonly OrphanPart[]): Orphan {
  const worst = WORST_FIRST.find((state) => parts.some(({ folder }) => folder.state === state))!
  const { manifest, reason } = parts.find(({ folder }) => folder.state === worst)!.folder
  return {
    id,
    state: worst,
    parts,
    reason: reason === undefined ? REASONS[worst] : `${REASONS[worst]}: ${reason}`,
    ...(manifest !== undefined && { vmId: manifest.vmId, createdAt: manifest.createdAt }),
  }
}

type Deed = 'adopted' | 'removed'

export function refused(id: string, why: string, wanted: Deed = 'adopted'): DiskferryError {
  return new DiskferryError('ORPHAN_REFUSED', `snapshot ${id} can't be ${wanted}: ${why}`)
}

function leased({ holder, expiresAt }: LeaseRecord): string {
  return `it is leased by ${JSON.stringify(holder)} until ${expiresAt}: leave it to the host that gave the lease, or adopt it where it is whole; --force removes it all the same, and whoever holds the lease must start its chain anew`
}

function changedMeanwhile(before: Orphan, now: Orphan): string {
  return now.state === 'whole'
    ? `another server has finished it meanwhile, it was ${before.state} and is whole now; on a shared repository leave it to the other host`
    : `another server is at work on it, it was ${before.state} and is ${now.state} now; look at \`diskferry orphans list\` and try again`
}

function rootsOf({ parts }: Orphan): readonly string[] {
  return parts.map(({ home }) => home.root)
}
