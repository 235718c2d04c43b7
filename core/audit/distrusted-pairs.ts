import { backendFailure } from '../backends/backend-failure.ts'
import type { HeldPath, HoldBeneath } from '../held-path.ts'
import type { Log } from '../log.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import { pinHome, stampOf } from '../snapshots/pin-home.ts'
import { rootsOf } from '../snapshots/snapshot-files.ts'
import { holdSnapshotFolder } from '../snapshots/snapshot-folder.ts'
import type { SnapshotRecord } from '../snapshots/snapshot-record.ts'
import type { AuditStore, DistrustedPair } from './audit-store.ts'
import type { ComparedPair } from './compare-told.ts'
import { isMarkedDistrusted, markDistrusted } from './distrust-mark.ts'

export interface DistrustedPairsParts {
  readonly store: AuditStore
  readonly guard: MountGuard
  readonly hold: HoldBeneath
  readonly watches: MountWatches
  readonly log: Log
}

const MARKED =
  'an audit found that the difference was wrong, as a mark beside the snapshot says, so every byte of both snapshots was read'

/**
 * Pairs of snapshots whose difference was found to be wrong. They are kept in the database and marked beside the newer
 * snapshot, and either is enough: the database may have been lost, restored from an old copy, or be that of another host.
 */
export class DistrustedPairs {
  readonly #parts: DistrustedPairsParts

  constructor(parts: DistrustedPairsParts) {
    this.#parts = parts
  }

  /**
   * Why the difference of this pair must be found by reading both; undefined when nothing speaks against it.
   * @throws STORE_FAILED, READ_FAILED, REPOSITORY_NOT_MOUNTED, REPOSITORY_NOT_RESPONDING
   */
  async reasonToDistrust({ vmId, base, snapshot }: ComparedPair): Promise<string | undefined> {
    const reason = await this.#parts.store.reasonToDistrust(vmId, base.id, snapshot.id)
    if (reason !== undefined) return reason
    for (const root of rootsOf(snapshot)) {
      const isMarked = async (folder: HeldPath) => isMarkedDistrusted(folder.path, base.id)
      if (await this.#inFolder(root, snapshot, isMarked)) return MARKED
    }
    return undefined
  }

  /**
   * For good: by this process at once, and on the disk when this returns. To be called with the VM's audit lock held. Where
   * the mark can't be written the database has it all the same; a snapshot that is damaged or deleted gets none.
   *
   * @throws STORE_FAILED
   */
  async distrust({ vmId, base, snapshot }: ComparedPair, reason: string): Promise<void> {
    const pair = { snapshotId: snapshot.id, compareTo: base.id, reason }
    // At once: the repository may fall silent while it is marked.
    const stored = this.#parts.store.distrust(vmId, pair)
    const marked = this.#mark(vmId, snapshot, pair)
    const [{ status }] = await Promise.allSettled([stored, marked])
    if (status === 'rejected') await stored
  }

  async #mark(vmId: string, snapshot: SnapshotRecord, pair: DistrustedPair): Promise<void> {
    for (const root of rootsOf(snapshot)) {
      try {
        await this.#inFolder(root, snapshot, (folder) => markDistrusted(folder.path, pair))
      } catch (error) {
        this.#parts.log.error(
          { vm: vmId, snapshot: snapshot.id, compare_to: pair.compareTo, err: error },
          'a pair of snapshots that is compared by content from now on could not be marked beside the snapshot: if the database is lost, audit it again',
        )
      }
    }
  }

  /** Undefined where there is no folder: the snapshot is damaged, or was deleted. */
  async #inFolder<Result>(
    root: string,
    snapshot: SnapshotRecord,
    work: (folder: HeldPath) => Promise<Result>,
  ): Promise<Result | undefined> {
    const { guard, hold, watches } = this.#parts
    try {
      return await watches.run([root], async () => {
        await using home = await pinHome(root, stampOf(snapshot, root), guard, hold)
        await using folder = await holdSnapshotFolder(root, snapshot.id, home.hold)
        return folder === undefined ? undefined : await work(folder)
      })
    } catch (error) {
      throw backendFailure(
        error,
        'READ_FAILED',
        `whether an audit found a difference of snapshot ${snapshot.id} wrong can't be looked up in '${root}'`,
      )
    }
  }
}
