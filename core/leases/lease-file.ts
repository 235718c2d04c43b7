import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import type { HoldBeneath } from '../held-path.ts'
import { holdSnapshotFolder, syncFolder } from '../snapshots/snapshot-folder.ts'
import { isLeaseRecord, type LeaseRecord } from './lease-record.ts'

/** Beside `snapshot.json`, which is never written again: a crash while a lease is renewed can't harm the snapshot. */
export const LEASE_FILE = 'snapshot.lease.json'
export const NEW_LEASE_FILE = '.snapshot.lease.json.new'

/** A FIFO must not be waited for, and a link leads to a place that nobody checked. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Ours has some 400 bytes. */
const MAX_BYTES = 4096

/**
 * On the disk, whole, when this returns. What a killed program left under the temporary name is replaced.
 * @throws the system's error
 */
export async function writeLeaseFile(folder: string, snapshotId: string, lease: LeaseRecord): Promise<void> {
  const temporary = join(folder, NEW_LEASE_FILE)
  // Not written over: it may be a link or a pipe that somebody put there.
  await rm(temporary, { force: true })
  {
    await using handle = await open(temporary, 'wx', 0o640)
    const text = `${JSON.stringify({ version: 1, snapshotId, ...lease }, null, 2)}\n`
    const half = text.length >> 1
    await handle.writeFile(text.slice(0, half))
    faultPoint('lease.file-half')
    await handle.writeFile(text.slice(half))
    await handle.sync()
  }
  faultPoint('lease.file-written')
  await rename(temporary, join(folder, LEASE_FILE))
  faultPoint('lease.file-named')
  await syncFolder(folder)
}

/** With what a killed program left of one that was to follow. Does nothing where there is none. @throws the system's error */
export async function removeLeaseFile(folder: string): Promise<void> {
  await rm(join(folder, NEW_LEASE_FILE), { force: true })
  await rm(join(folder, LEASE_FILE), { force: true })
  faultPoint('lease.file-removed')
  await syncFolder(folder)
}

/**
 * The lease beside a snapshot, live or not, for an index that knows of none: it may have been made anew. To be called
 * under the watch of its mount.
 *
 * @returns undefined where there is no file or no folder, and for a file that is not of our making
 * @throws the system's error
 */
export async function leaseBeside(
  root: string,
  snapshotId: string,
  hold: HoldBeneath,
): Promise<LeaseRecord | undefined> {
  await using folder = await holdSnapshotFolder(root, snapshotId, hold)
  return folder === undefined ? undefined : await readLeaseFile(folder.path, snapshotId)
}

async function readLeaseFile(folder: string, snapshotId: string): Promise<LeaseRecord | undefined> {
  let text: string
  try {
    await using handle = await open(join(folder, LEASE_FILE), FLAGS)
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0)
    text = buffer.toString('utf8', 0, bytesRead)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    const { version, snapshotId: of, ...lease } = JSON.parse(text)
    return version === 1 && of === snapshotId && isLeaseRecord(lease) ? lease : undefined
  } catch {
    return undefined
  }
}
