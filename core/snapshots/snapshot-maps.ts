import { consistencyOf } from '../consistency/consistency.ts'
import { type Clock, systemClock } from '../leases/lease-clock.ts'
import { shownLease } from '../leases/lease-record.ts'
import type { DiskMap, MapOptions, SnapshotMap } from '../services.ts'
import type { DiskMaps } from './disk-maps.ts'
import type { SnapshotRecord } from './snapshot-record.ts'

/** Maps of whole snapshots: those of their disks, one after the other. */
export class SnapshotMaps {
  readonly #disks: DiskMaps
  readonly #clock: Clock

  constructor(disks: DiskMaps, clock: Clock = systemClock) {
    this.#disks = disks
    this.#clock = clock
  }

  /** @throws as DiskMaps.allocated */
  allocated(
    vmId: string,
    snapshot: SnapshotRecord,
    options: MapOptions,
    signal?: AbortSignal,
  ): Promise<SnapshotMap> {
    return this.#collect(vmId, snapshot, (disk) => this.#disks.allocated(disk, options, signal))
  }

  /** A disk that the base lacks comes whole. @throws as DiskMaps.changed */
  changed(
    vmId: string,
    base: SnapshotRecord,
    snapshot: SnapshotRecord,
    options: MapOptions,
    signal?: AbortSignal,
  ): Promise<SnapshotMap> {
    return this.#collect(vmId, snapshot, (disk) => {
      const older = base.disks.find(({ name }) => name === disk.name)
      return older === undefined
        ? this.#disks.allocated(disk, options, signal)
        : this.#disks.changed(older, disk, options, signal)
    })
  }

  async #collect(
    vmId: string,
    snapshot: SnapshotRecord,
    map: (disk: SnapshotRecord['disks'][number]) => Promise<DiskMap>,
  ): Promise<SnapshotMap> {
    const disks: DiskMap[] = []
    for (const disk of snapshot.disks) disks.push(await map(disk))
    const lease = shownLease(snapshot.lease, this.#clock())
    const { id, createdAt } = snapshot
    return { id, vmId, createdAt, ...consistencyOf(snapshot), lease, disks }
  }
}
