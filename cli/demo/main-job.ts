import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DiskferryError } from '../../core/errors.ts'
import { compareFiles } from './compare-files.ts'
import type { ChunkJson, DemoClient, DiskSnapshotJson, SnapshotJson } from './demo-client.ts'
import type { DemoRepository } from './demo-repository.ts'
import type { DemoStorage } from './demo-storage.ts'
import type { Progress } from './progress.ts'
import { type Pulled, pullDisk } from './pull-disk.ts'

export interface MainJobParts {
  readonly client: DemoClient
  readonly repository: DemoRepository
  readonly storage: DemoStorage
  readonly progress: Progress
  /** Leave the snapshots where they are. */
  readonly keep: boolean
  readonly signal: AbortSignal
}

/** What happened to one disk; all numbers but the seconds are bytes. */
export interface DiskResult {
  readonly name: string
  readonly size: number
  readonly allocated: readonly ChunkJson[]
  readonly changed: readonly ChunkJson[]
  readonly full: Pulled
  readonly incremental: Pulled
}

/**
 * Snapshot, full pull, guest writes, snapshot, incremental pull, comparison, delete.
 *
 * @throws READ_FAILED when a byte of the copies differs from the snapshot
 */
export async function runMainJob(parts: MainJobParts): Promise<readonly DiskResult[]> {
  const { client, repository, progress, signal } = parts
  const { vmId, guest } = repository
  const listed = await progress.step('listing VMs', () => client.vms(signal))
  if (!listed.some((vm) => vm.name === vmId))
    throw new DiskferryError('INTERNAL', 'the demo VM is not listed')

  const first = await progress.step('first snapshot', () => client.createSnapshot(vmId, signal))
  const full = await pullAll(parts, 'full pull', first)
  await progress.step('the guest writes, discards and grows its disks', () => guest.work(signal))
  const second = await progress.step('second snapshot', () => client.createSnapshot(vmId, signal))
  const difference = await progress.step('asking what changed', () =>
    client.snapshot(vmId, second.id, first.id, signal),
  )
  const incremental = await pullAll(parts, 'incremental pull', difference)
  await progress.step('comparing the copies with the second snapshot, byte for byte', (report) =>
    compareAll(parts, second, report),
  )
  if (!parts.keep) await progress.step('deleting the snapshots', () => deleteAll(parts, second))
  const whole = new Map(second.disks.map((disk) => [disk.name, disk]))
  return difference.disks.map(({ name, size, chunks }) => ({
    name,
    size,
    allocated: whole.get(name)!.chunks,
    changed: chunks,
    full: full.get(name)!,
    incremental: incremental.get(name)!,
  }))
}

async function pullAll(
  { client, repository, storage, progress, signal }: MainJobParts,
  what: string,
  snapshot: SnapshotJson,
): Promise<ReadonlyMap<string, Pulled>> {
  const pulled = new Map<string, Pulled>()
  for (const disk of snapshot.disks) {
    const fetch = (start: number, length: number) =>
      client.bytes(repository.vmId, snapshot.id, disk.name, start, length, signal)
    const result = await progress.step(`${what} of ${disk.name}`, (report) =>
      pullDisk(disk, copyPath(storage, disk), fetch, report),
    )
    pulled.set(disk.name, result)
  }
  return pulled
}

async function compareAll(
  { storage, signal }: MainJobParts,
  snapshot: SnapshotJson,
  report: (done: number, all: number) => void,
): Promise<void> {
  const all = snapshot.disks.reduce((sum, disk) => sum + disk.size, 0)
  let before = 0
  for (const disk of snapshot.disks) {
    const copy = copyPath(storage, disk)
    const differs = await compareFiles(copy, disk.path, (done) => report(before + done, all), signal)
    if (differs !== undefined) {
      throw new DiskferryError(
        'READ_FAILED',
        `the copy of ${disk.name} differs from the snapshot at byte ${differs}`,
      )
    }
    before += disk.size
  }
}

async function deleteAll({ client, repository, signal }: MainJobParts, last: SnapshotJson): Promise<void> {
  await client.purge(repository.vmId, signal)
  const [vm] = await client.vms(signal)
  const left = await Promise.allSettled(last.disks.map((disk) => stat(disk.path)))
  if (vm?.snapshots.length !== 0 || left.some(({ status }) => status === 'fulfilled')) {
    throw new DiskferryError('INTERNAL', 'snapshots were left after deleting them all')
  }
}

function copyPath(storage: DemoStorage, disk: DiskSnapshotJson): string {
  return join(storage.work, `copy-of-${disk.name}`)
}
