import { lstat } from 'node:fs/promises'
import { backendFailure } from '../backends/backend-failure.ts'
import { type CloneSpan, toMicrosecond } from '../consistency/clone-spans.ts'
import { DiskferryError, describe, systemCode } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import type { HeldPath, HoldBeneath } from '../held-path.ts'
import type { MountGuard } from '../repositories/mount-guard.ts'
import type { CloneSource } from '../vms/disk-plan.ts'
import { lastingIdentity } from './recorded-file.ts'
import type { DiskRecord } from './snapshot-record.ts'

/** What HoldBeneath throws when something else than a file in the repository has a disk's name by now. */
const MOVED_CODES: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV'])

/** A disk that is to be cloned, with the record that is written before it is. */
export interface CloneTask {
  readonly record: DiskRecord
  readonly source: CloneSource
}

export interface Clone extends CloneSpan {
  readonly disk: DiskRecord
}

/**
 * What is cloned is what was found beneath the repository, and it goes into the folder that is held: a link that is
 * put in the place of either has no effect.
 *
 * @param target through the descriptor of the snapshot's folder
 * @throws REPOSITORY_NOT_MOUNTED, CLONE_FAILED, or what the backend throws
 */
export async function cloneDisk(
  { record, source }: CloneTask,
  target: string,
  guard: MountGuard,
  hold: HoldBeneath,
  signal?: AbortSignal,
): Promise<Clone> {
  const refused = (why: string, cause?: unknown) =>
    new DiskferryError('CLONE_FAILED', `disk ${record.name}: its file '${source.file}' ${why}; try again`, {
      cause,
    })
  await using pinned = await guard.pin(source.root, hold, source.mount)
  let opened: HeldPath
  try {
    opened = await pinned.hold(source.root, source.file)
  } catch (error) {
    if (MOVED_CODES.has(systemCode(error) ?? ''))
      throw refused(`is no longer where it was a moment ago: ${describe(error)}`, error)
    throw backendFailure(error, 'CLONE_FAILED', `disk ${record.name}: '${source.file}' can't be opened`)
  }
  await using disk = opened
  if (!disk.stats.isFile()) throw refused('is no longer a regular file')
  const beganMs = performance.now()
  await source.backend.clone(disk.path, target, signal)
  const endedMs = performance.now()
  faultPoint('create.cloned')
  const status = await lstat(target)
  const { size } = status
  if (!Number.isSafeInteger(size)) {
    throw new DiskferryError('CLONE_FAILED', `disk ${record.name} has ${size} bytes, more than 2^53 - 1`)
  }
  // As everybody will find it from now on.
  await using clone = await pinned.hold(record.root, record.path)
  if (clone.stats.ino !== status.ino || clone.stats.dev !== status.dev)
    throw refused('was cloned, and the clone is not where it was put')
  const cloneMs = toMicrosecond(endedMs - beganMs)
  const identity = lastingIdentity(clone, source.mount)
  return { beganMs, endedMs, disk: { ...record, size, cloneMs, ...identity } }
}
