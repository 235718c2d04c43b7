import { consistencyOf } from '../consistency/consistency.ts'
import { type Clock, systemClock } from '../leases/lease-clock.ts'
import { shownLease } from '../leases/lease-record.ts'
import type { DiskMap, MapOptions, SnapshotMap } from '../services.ts'
import type { DiskMaps } from './disk-maps.ts'
import { disksOf, type SnapshotDisk, type SnapshotRecord } from './snapshot-record.ts'

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

  /** For a list, which one damaged snapshot must not spoil. @throws as DiskMaps.allocatedOrDamaged */
  async listed(
    vmId: string,
    snapshot: SnapshotRecord,
    options: MapOptions,
    signal?: AbortSignal,
  ): Promise<SnapshotMap> {
    const map = await this.#collect(vmId, snapshot, (disk) =>
      this.#disks.allocatedOrDamaged(disk, options, signal),
    )
    const damage = map.disks.flatMap((disk) => disk.damage ?? [])
    return damage.length === 0 ? map : { ...map, damage: [...new Set(damage)].join('; ') }
  }

  /**
   * A disk that the base lacks comes whole.
   *
   * @param distrust why the backends are not to be asked, but every byte to be read
   * @throws as DiskMaps.changed
   */
  changed(
    vmId: string,
    base: SnapshotRecord,
    snapshot: SnapshotRecord,
    options: MapOptions,
    signal?: AbortSignal,
    distrust?: string,
  ): Promise<SnapshotMap> {
    const olderDisks = disksOf(vmId, base)
    return this.#collect(vmId, snapshot, (disk) => {
      const older = olderDisks.find(({ name }) => name === disk.name)
      if (distrust !== undefined) return this.#disks.compared(older, disk, distrust, options, signal)
      return older === undefined
        ? this.#disks.allocated(disk, options, signal)
        : this.#disks.changed(older, disk, options, signal)
    })
  }

  async #collect(
    vmId: string,
    snapshot: SnapshotRecord,
    map: (disk: SnapshotDisk) => Promise<DiskMap>,
  ): Promise<SnapshotMap> {
    const disks: DiskMap[] = []
    for (const disk of disksOf(vmId, snapshot)) disks.push(await map(disk))
    const lease = shownLease(snapshot.lease, this.#clock())
    const { id, createdAt } = snapshot
    return { id, vmId, createdAt, ...consistencyOf(snapshot), lease, disks }
  }
}
