import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { StorageKind } from '../storage/matrix.ts'
import { ExportTotals, type ModelFilesystem, playExportModel } from './export-model.ts'
import { GuestHelper } from './guest-helper.ts'
import { openLab } from './lab.ts'
import { seedsFrom } from './random.ts'
import { snapshotFolders } from './snapshot-folders.ts'
import { storageTest } from './storage-test.ts'

const MIB = 1024 * 1024
const { MODEL_SEEDS } = process.env
const SEEDS = '1-20'
/** Of a filesystem made or mounted another way: what differs there is met early, and the rest is the same code. */
const VARIANT_SEEDS = '1-10'

/**
 * The main job, over and over: random histories of VMs on a real filesystem, exported through the real server over
 * TLS by the algorithms of its clients, compared byte for byte with a model kept in memory. Each family of
 * filesystems has a test file of its own, so that they run at once.
 */
export function exportModelTest(kind: StorageKind): void {
  const seeds = seedsFrom(MODEL_SEEDS, kind.name === kind.filesystem ? SEEDS : VARIANT_SEEDS)
  storageTest(
    kind,
    `pulled disks equal the model in every byte, over ${seeds.length} seeds`,
    ({ mount, t }) => playExportModels({ mountPoint: mount, kind, seeds }, t),
    { timeoutMs: seeds.length * 20_000 + 60_000 },
  )
}

export interface ExportModels {
  readonly mountPoint: string
  readonly kind: ModelFilesystem
  readonly seeds: readonly number[]
  readonly maxDiskBytes?: number
}

/** Plays the model for each seed on a mounted filesystem. @throws at the first wrong byte */
export async function playExportModels(
  { mountPoint, seeds, ...options }: ExportModels,
  t: TestContext,
): Promise<void> {
  await using lab = await openLab({ mountPoint })
  await using helper = new GuestHelper()
  const totals = new ExportTotals()
  for (const seed of seeds) await playExportModel({ ...options, lab, helper, seed }, totals)
  assert.deepEqual(await snapshotFolders(mountPoint), [], 'no deleted snapshot leaves a file')
  for (const line of report(totals)) t.diagnostic(`${options.kind.name}: ${line}`)
}

function report(totals: ExportTotals): readonly string[] {
  const { snapshots, pulls, diskBytes, fullBytes, incremental } = totals
  return [
    `${snapshots} snapshots, ${pulls} pulls of ${mib(diskBytes)} of disks, 0 wrong bytes; full pulls fetched ${mib(fullBytes)}`,
    ...Object.entries(incremental).map(
      ([algorithm, { fetched, differing }]) =>
        `incremental pulls, ${algorithm} client: ${mib(fetched)} fetched for ${mib(differing)} in differing 4 KiB blocks ` +
        `(${(fetched / differing).toFixed(2)} times)`,
    ),
  ]
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`
}
