import { COMPARE_BLOCK, compareRanges } from '../extents/compare-ranges.ts'
import type { MountWatches } from '../mounts/mount-watches.ts'
import type { DiskMaps } from '../snapshots/disk-maps.ts'
import { disksOf, type SnapshotDisk, type SnapshotRecord } from '../snapshots/snapshot-record.ts'
import { BlockSample, type ByteRange, blocksIn } from './block-sample.ts'
import { SeededRandom } from './seeded-random.ts'
import { unreportedRanges, zeroRanges } from './told-ranges.ts'

const LARGEST_PIECE = 1024 * 1024
/** Both files. */
const FILES_READ = 2
const PIECES_PER_SECOND = 8
/** Reads as a file without a byte: what a disk is compared with that has to be zeros. */
const EMPTY_FILE = '/dev/null'

export interface ComparedPair {
  readonly vmId: string
  readonly base: SnapshotRecord
  readonly snapshot: SnapshotRecord
}

export interface CompareOptions {
  /** Blocks to read at least, and the seed that picks them; all when undefined. */
  readonly sample: { readonly blocks: number; readonly seed: number } | undefined
  /** Bytes a second, for the size of the pieces; `beforeReading` is what keeps to it. */
  readonly rate: number
}

export interface CompareObserver {
  planned(plan: { readonly blocks: number; readonly blocksToRead: number; readonly stratum: number }): void
  /** Called before each piece, with the bytes and blocks of it; may wait, and may throw to end the comparison. */
  beforeReading(bytes: number, blocks: number): Promise<void>
  mismatch(found: ByteRange & TellsOf): Promise<void>
}

interface TellsOf {
  readonly disk: string
  readonly path: string
  readonly backend: string
  readonly told: 'unchanged' | 'zero'
}

/** One thing that the difference says of one disk: read both files there, and they must be equal. */
interface Claim extends TellsOf {
  /** Undefined for what has to be zeros. */
  readonly base: SnapshotDisk | undefined
  readonly record: SnapshotDisk
  /** Of the repositories of both. */
  readonly roots: readonly string[]
  readonly ranges: () => Iterable<ByteRange>
}

/**
 * Asks for the difference of two snapshots as a client would, then reads what it did not report, or reported as zeros,
 * and tells the observer of every range that is otherwise. No map is believed: holes are read too. A disk that the
 * base lacks comes whole, so what its map leaves out must be zeros. Holds the difference in memory, no contents.
 *
 * @throws errors of the maps, the difference and of reading
 */
export async function compareTold(
  { disks, watches }: { readonly disks: DiskMaps; readonly watches: MountWatches },
  pair: ComparedPair,
  options: CompareOptions,
  observer: CompareObserver,
  signal: AbortSignal,
): Promise<void> {
  const claims = await claimsOf(disks, pair, signal)
  let blocks = 0
  for (const { ranges } of claims) for (const range of ranges()) blocks += blocksIn(range)
  const { sample } = options
  const stratum = sample === undefined ? 1 : BlockSample.stratumFor(sample.blocks, blocks)
  observer.planned({ blocks, blocksToRead: Math.ceil(blocks / stratum), stratum })
  const picked = stratum === 1 ? undefined : new BlockSample(stratum, blocks, new SeededRandom(sample!.seed))
  for (const { base, record, roots, ranges, ...tells } of claims) {
    const toRead = picked === undefined ? ranges() : picked.pick(ranges())
    const compare = async (either: AbortSignal) => {
      await using baseFile = base === undefined ? undefined : await disks.holdIntact(base)
      await using file = await disks.holdIntact(record)
      const pieces = paced(toRead, pieceBytes(options.rate), observer, either)
      for await (const batch of compareRanges(baseFile?.path ?? EMPTY_FILE, file.path, pieces, either)) {
        either.throwIfAborted()
        for (const { start, length } of batch) await observer.mismatch({ ...tells, start, length })
      }
    }
    await watches.call(roots, compare, signal)
  }
}

async function claimsOf(disks: DiskMaps, pair: ComparedPair, signal: AbortSignal): Promise<readonly Claim[]> {
  const claims: Claim[] = []
  const olderDisks = disksOf(pair.vmId, pair.base)
  for (const disk of disksOf(pair.vmId, pair.snapshot)) {
    const older = olderDisks.find(({ name }) => name === disk.name)
    const map =
      older === undefined
        ? await disks.allocated(disk, { squash: true }, signal)
        : await disks.changed(older, disk, { squash: true }, signal)
    const roots = older === undefined ? [disk.root] : [older.root, disk.root]
    const of = { disk: disk.name, path: disk.path, backend: disk.backend, record: disk, roots }
    claims.push(
      {
        ...of,
        told: older === undefined ? 'zero' : 'unchanged',
        base: older,
        ranges: () => unreportedRanges(map),
      },
      { ...of, told: 'zero', base: undefined, ranges: () => zeroRanges(map) },
    )
  }
  return claims
}

/** Small at a low rate, so that an abort and a deleted snapshot are noticed soon. */
function pieceBytes(rate: number): number {
  const even = Math.floor(rate / PIECES_PER_SECOND / FILES_READ / COMPARE_BLOCK) * COMPARE_BLOCK
  return Math.min(LARGEST_PIECE, Math.max(COMPARE_BLOCK, even))
}

async function* paced(
  ranges: Iterable<ByteRange>,
  largest: number,
  observer: CompareObserver,
  signal: AbortSignal,
): AsyncGenerator<ByteRange> {
  for (const { start, length } of ranges) {
    const end = start + length
    for (let at = start; at < end; ) {
      // To the grid of the file, so that no block is counted twice.
      const next = Math.min(end, Math.floor(at / COMPARE_BLOCK) * COMPARE_BLOCK + largest)
      const piece = { start: at, length: next - at }
      // Where it was abandoned its audit is over.
      signal.throwIfAborted()
      await observer.beforeReading(piece.length * FILES_READ, blocksIn(piece))
      yield piece
      at = next
    }
  }
}
