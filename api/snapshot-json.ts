import { setImmediate } from 'node:timers/promises'
import type { Lease } from '../core/leases/lease.ts'
import type { Chunk, DiskMap, SnapshotMap } from '../core/services.ts'

/** Characters of one piece: enough to make a write worth its while, little enough to be made in well under 1 ms. */
const PIECE_CHARACTERS = 64 * 1024

function chunkJson({ start, length, physicalStart, zero }: Chunk): string {
  const mark = zero ? ',"zero":true' : ''
  return `{"start":${start},"length":${length},"physical_start":${physicalStart}${mark}}`
}

/** Everything of a disk but its chunks, as members of an object without the braces. */
function diskMembers(disk: DiskMap, snapshotId: string): string {
  const { diff } = disk
  const members = {
    parent_path: disk.parentPath,
    path: disk.path,
    snapshot_id: snapshotId,
    snapshotID: snapshotId,
    name: disk.name,
    repo_mountpoint: disk.repositoryMountPoint,
    size: disk.size,
    backend: disk.backend,
    ...(diff !== undefined && {
      diff: {
        method: diff.method,
        fallback_reason: diff.fallbackReason,
        changed_bytes: diff.changedBytes,
        zero_bytes: diff.zeroBytes,
      },
    }),
    ...(disk.damage !== undefined && { damage: disk.damage }),
  }
  return JSON.stringify(members).slice(1, -1)
}

export function leaseJson({ holder, takenAt, expiresAt }: Lease) {
  return { holder, taken_at: takenAt, expires_at: expiresAt }
}

function snapshotMembers(snapshot: SnapshotMap): string {
  const { id, vmId, createdAt, damage, lease } = snapshot
  const members = {
    id,
    vm_id: vmId,
    vmID: vmId,
    created_at: createdAt,
    ...(damage === undefined ? { state: 'ready' } : { state: 'damaged', damage }),
    consistency: snapshot.consistency,
    consistency_reason: snapshot.consistencyReason,
    stall_ms: snapshot.stallMs,
    skew_ms: snapshot.skewMs,
    stall_forecast_ms: snapshot.stallForecastMs,
    lease: lease === null ? null : leaseJson(lease),
  }
  return JSON.stringify(members).slice(1, -1)
}

/** One flat loop: a generator inside a generator would cost more than the text of a chunk. */
async function* pieces(snapshots: readonly SnapshotMap[]): AsyncGenerator<string, void, void> {
  let piece = ''
  for (const [index, snapshot] of snapshots.entries()) {
    piece += `${index === 0 ? '' : ','}{${snapshotMembers(snapshot)},"disks":[`
    for (const [place, disk] of snapshot.disks.entries()) {
      piece += `${place === 0 ? '' : ','}{${diskMembers(disk, snapshot.id)},"chunks":[`
      let separator = ''
      for (const chunk of disk.chunks) {
        piece += separator + chunkJson(chunk)
        separator = ','
        if (piece.length < PIECE_CHARACTERS) continue
        yield piece
        piece = ''
        await setImmediate()
      }
      piece += ']}'
    }
    piece += ']}'
  }
  yield piece
}

/** A snapshot as JSON text, in pieces with a turn for everybody else between them: it may have a million chunks. */
export function snapshotJson(snapshot: SnapshotMap): AsyncGenerator<string, void, void> {
  return pieces([snapshot])
}

/** An array of snapshots as JSON text, in the same way. */
export async function* snapshotListJson(
  snapshots: readonly SnapshotMap[],
): AsyncGenerator<string, void, void> {
  yield '['
  yield* pieces(snapshots)
  yield ']'
}
