import type { DistrustedPairs } from '../audit/distrusted-pairs.ts'
import type { StallForecast } from '../consistency/stall-forecast.ts'
import { DiskferryError } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import type { DeleteOptions } from '../leases/lease.ts'
import type { LeaseService } from '../leases/lease-service.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import type { RetentionService } from '../retention/retention-service.ts'
import type { MapOptions, OpenDisk, SnapshotMap, Snapshots } from '../services.ts'
import type { SnapshotIds, VmCatalogue, VmPlan } from '../vms/vm-catalogue.ts'
import type { DiskMaps } from './disk-maps.ts'
import { draftSnapshot } from './draft-snapshot.ts'
import { rootsOf, type SnapshotFiles } from './snapshot-files.ts'
import type { SnapshotJournal } from './snapshot-journal.ts'
import type { SnapshotMaps } from './snapshot-maps.ts'
import { disksOf, type SnapshotRecord } from './snapshot-record.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import type { VmLocks } from './vm-locks.ts'

export interface SnapshotServiceParts {
  readonly vms: VmCatalogue
  readonly store: SnapshotStore
  readonly journal: SnapshotJournal
  readonly files: SnapshotFiles
  readonly locks: VmLocks
  readonly disks: DiskMaps
  readonly maps: SnapshotMaps
  readonly distrusted: DistrustedPairs
  readonly forecast: StallForecast
  readonly leases: LeaseService
  readonly retention: RetentionService
  readonly watches: MountWatches
}

export class SnapshotService implements Snapshots {
  readonly #parts: SnapshotServiceParts

  constructor(parts: SnapshotServiceParts) {
    this.#parts = parts
  }

  async create(vmId: string, options: MapOptions, signal?: AbortSignal): Promise<SnapshotMap> {
    const { vms, locks, journal, files, maps, forecast, retention, watches } = this.#parts
    // Before the lock, so that a stranger's ids leave no lock files behind.
    await vms.assertKnown(vmId, signal)
    const made = await locks.hold(
      vmId,
      async () => {
        const plan = await vms.plan(vmId, true, signal)
        if (plan.reasons.length > 0) throw refusal(plan)
        const before = await journal.settled(vmId)
        const wanted = await files.stamped(draftSnapshot(plan, before), signal)
        const { stallForecastMs, tasks } = await watches.run(
          rootsOf(wanted.draft),
          (either) => forecast.assess(before, wanted.tasks, either),
          signal,
        )
        const draft = { ...wanted.draft, stallForecastMs }
        return journal.create(before, draft, async () => {
          const record = await files.make(vmId, draft, tasks, signal)
          forecast.learn(vmId, record)
          // The map belongs to the answer: without it the client would not know what to fetch.
          const result = await maps.allocated(vmId, record, options, signal)
          faultPoint('create.mapped')
          if (signal?.aborted) throw new DiskferryError('ABORTED', `VM ${vmId}: the client went away`)
          return { record, result }
        })
      },
      signal,
    )
    retention.soon(vmId)
    return made
  }

  async list(vmId: string, options: MapOptions, signal?: AbortSignal): Promise<readonly SnapshotMap[]> {
    const snapshots = await this.#ready(vmId)
    if (snapshots.length === 0) await this.#parts.vms.assertKnown(vmId, signal)
    const maps: SnapshotMap[] = []
    for (const snapshot of snapshots) {
      const map = await this.#unlessDeleted(vmId, [snapshot], () =>
        this.#parts.maps.listed(vmId, snapshot, options, signal),
      )
      maps.push(map)
    }
    if (maps.every(({ damage }) => damage === undefined)) return maps
    // One that was deleted meanwhile is not damaged but gone.
    const still = new Set((await this.#ready(vmId)).map(({ id }) => id))
    return maps.filter(({ id, damage }) => damage === undefined || still.has(id))
  }

  async get(
    vmId: string,
    snapshotId: string,
    options: MapOptions,
    signal?: AbortSignal,
  ): Promise<SnapshotMap> {
    const snapshots = await this.#ready(vmId)
    const { compareTo } = options
    if (compareTo === undefined)
      return this.#allocated(vmId, findSnapshot(snapshots, vmId, snapshotId), options, signal)
    const pair = findPair(snapshots, vmId, snapshotId, compareTo)
    const { base, snapshot } = pair
    return this.#unlessDeleted(vmId, [base, snapshot], async () => {
      const distrust = await this.#parts.distrusted.reasonToDistrust(pair)
      return this.#parts.maps.changed(vmId, base, snapshot, options, signal, distrust)
    })
  }

  async delete(
    vmId: string,
    snapshotId: string,
    options: DeleteOptions = {},
    signal?: AbortSignal,
  ): Promise<void> {
    const { store, locks, journal, leases } = this.#parts
    if (!(await store.read(vmId)).snapshots.some(({ id }) => id === snapshotId)) return
    await locks.hold(
      vmId,
      async () => {
        const before = await journal.settled(vmId)
        const snapshot = before.snapshots.find(({ id }) => id === snapshotId)
        if (snapshot === undefined) return
        await journal.delete(before, [snapshot], () => leases.assertDeletable(vmId, [snapshot], options))
      },
      signal,
    )
  }

  async purge(vmId: string, options: DeleteOptions = {}, signal?: AbortSignal): Promise<void> {
    const { store, locks, journal, vms, leases } = this.#parts
    if ((await store.read(vmId)).snapshots.length === 0) {
      await vms.assertKnown(vmId, signal)
      return
    }
    await locks.hold(
      vmId,
      async () => {
        const before = await journal.settled(vmId)
        const { snapshots } = before
        await journal.delete(before, snapshots, () => leases.assertDeletable(vmId, snapshots, options))
      },
      signal,
    )
  }

  async openDisk(vmId: string, snapshotId: string, diskName: string): Promise<OpenDisk> {
    const snapshot = findSnapshot(await this.#ready(vmId), vmId, snapshotId)
    const disk = disksOf(vmId, snapshot).find(({ name }) => name === diskName)
    if (disk === undefined) {
      throw new DiskferryError(
        'DISK_NOT_FOUND',
        `snapshot ${snapshotId} has no disk ${JSON.stringify(diskName)}; it has ${snapshot.disks.map(({ name }) => name).join(', ')}`,
      )
    }
    return this.#unlessDeleted(vmId, [snapshot], () => this.#parts.disks.open(disk))
  }

  #allocated(
    vmId: string,
    snapshot: SnapshotRecord,
    options: MapOptions,
    signal: AbortSignal | undefined,
  ): Promise<SnapshotMap> {
    return this.#unlessDeleted(vmId, [snapshot], () =>
      this.#parts.maps.allocated(vmId, snapshot, options, signal),
    )
  }

  /** A snapshot that was deleted while it was being read is not damaged but gone. */
  async #unlessDeleted<Result>(
    vmId: string,
    read: readonly SnapshotRecord[],
    work: () => Promise<Result>,
  ): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      const stillThere = new Set((await this.#ready(vmId)).map(({ id }) => id))
      const gone = read.find(({ id }) => !stillThere.has(id))
      throw gone === undefined ? error : snapshotNotFound(vmId, gone.id, error)
    }
  }

  async #ready(vmId: string): Promise<readonly SnapshotRecord[]> {
    return (await this.#parts.store.read(vmId)).snapshots.filter(({ state }) => state === 'ready')
  }
}

/** The ids of a VM's finished snapshots, oldest first, for the list of VMs. */
export function storedSnapshotIds(store: SnapshotStore): SnapshotIds {
  return {
    async idsOf(vmId) {
      const { snapshots } = await store.read(vmId)
      return snapshots.filter(({ state }) => state === 'ready').map(({ id }) => id)
    },
  }
}

/** Two snapshots of which one is to be compared with the other. @throws SNAPSHOT_NOT_FOUND, COMPARE_NOT_OLDER */
export function findPair(
  snapshots: readonly SnapshotRecord[],
  vmId: string,
  id: string,
  compareTo: string,
): { readonly vmId: string; readonly base: SnapshotRecord; readonly snapshot: SnapshotRecord } {
  const snapshot = findSnapshot(snapshots, vmId, id)
  const base = findSnapshot(snapshots, vmId, compareTo)
  if (snapshots.indexOf(base) < snapshots.indexOf(snapshot)) return { vmId, base, snapshot }
  throw new DiskferryError('COMPARE_NOT_OLDER', 'compareTo snapshot must be older than this snapshot')
}

/** @throws SNAPSHOT_NOT_FOUND */
export function findSnapshot(snapshots: readonly SnapshotRecord[], vmId: string, id: string): SnapshotRecord {
  const snapshot = snapshots.find((known) => known.id === id)
  if (snapshot === undefined) throw snapshotNotFound(vmId, id)
  return snapshot
}

function snapshotNotFound(vmId: string, id: string, cause?: unknown): DiskferryError {
  return new DiskferryError('SNAPSHOT_NOT_FOUND', `VM ${vmId} has no snapshot ${JSON.stringify(id)}`, {
    cause,
  })
}

/** Where each disk is refused for a repository that does not answer, is full or read-only, nothing is wrong with the VM. */
function refusal({ vm, disks, reasons }: VmPlan): DiskferryError {
  const blocking = disks.filter((disk) => disk.blocks)
  const refused = blocking.every((disk) => disk.refusal !== undefined) ? blocking[0]?.refusal : undefined
  const message = `no snapshot of VM ${vm.name} (${vm.friendlyName}) can be taken: ${reasons.join('; ')}`
  if (refused === undefined) return new DiskferryError('VM_NOT_COMPATIBLE', message)
  const { code, clientMessage } = refused
  return new DiskferryError(code, message, {
    cause: refused,
    ...(clientMessage !== undefined && { clientMessage }),
  })
}
