/**
 * The promise that everything else serves, without the server: for random histories of a disk and of the blocks
 * below it, a backend's difference of two snapshots tells every byte that differs.
 */

import assert from 'node:assert/strict'
import {
  type BackendFactory,
  type ChangedRange,
  type Extent,
  type ExtentBatch,
  physicalDiff,
  type StorageBackend,
} from 'diskferry/core'
import { CheckedBackend } from '../../core/backends/checked-backend.ts'
import { DifferenceTotals, playDifferenceModel } from '../support/difference-model.ts'
import { GuestHelper } from '../support/guest-helper.ts'
import { seedsFrom } from '../support/random.ts'
import { storageTest } from '../support/storage-test.ts'
import { REFLINK_STORAGE, type StorageKind } from './matrix.ts'

const { MODEL_SEEDS } = process.env
const SEEDS = seedsFrom(MODEL_SEEDS, '1-20')

for (const kind of REFLINK_STORAGE) {
  storageTest(
    kind,
    `a difference tells every changed byte, over ${SEEDS.length} seeds`,
    async ({ mount, t }) => {
      const totals = await play(await loadBackend(kind), kind, mount, SEEDS)
      const { pairs, differing, reported } = totals
      t.diagnostic(
        `${kind.name}: ${pairs.physical} pairs by address, ${pairs.content} by content; ${differing} bytes in differing 4 KiB ` +
          `blocks, ${reported} reported as data (${(reported / differing).toFixed(2)} times)`,
      )
      assert.ok(pairs.physical > pairs.content, 'most differences come from addresses')
    },
    { timeoutMs: SEEDS.length * 10_000 + 60_000 },
  )

  storageTest(kind, "the model finds a backend that walks only the target's extents", async ({ mount }) => {
    const backend = await loadBackend(kind)
    const broken = withDifference(backend, (base, target) => missingHoles(backend, base, target))
    await assert.rejects(
      play(broken, kind, mount, seedsFrom(undefined, '1-20')),
      /compared to .* wrong bytes/,
    )
  })
}

// Only XFS gives a freed place to the same part of another file soon; btrfs puts new blocks elsewhere.
for (const kind of REFLINK_STORAGE.filter(({ filesystem }) => filesystem === 'xfs')) {
  storageTest(kind, 'the model finds a backend that remembers where blocks lay', async ({ mount }) => {
    const backend = await loadBackend(kind)
    const broken = withDifference(backend, rememberedMaps(backend))
    await assert.rejects(
      // It ends at the first find; which places are given away when is up to the filesystem, so there are many tries.
      play(broken, kind, mount, seedsFrom(undefined, '1-200')),
      /compared to .* wrong bytes/,
    )
  })
}

async function play(
  backend: StorageBackend,
  kind: StorageKind,
  mount: string,
  seeds: readonly number[],
): Promise<DifferenceTotals> {
  await using helper = new GuestHelper()
  const totals = new DifferenceTotals()
  for (const seed of seeds) await playDifferenceModel({ backend, kind, mount, helper, seed }, totals)
  return totals
}

async function loadBackend(kind: StorageKind): Promise<StorageBackend> {
  const module: { readonly default: BackendFactory } = await import(
    `../../backends/${kind.filesystem}/index.ts`
  )
  return new CheckedBackend(module.default({}))
}

function withDifference(backend: StorageBackend, diff: StorageBackend['diff']): StorageBackend {
  return {
    manifest: backend.manifest,
    checkCompatibility: (...args) => backend.checkCompatibility(...args),
    clone: (...args) => backend.clone(...args),
    extentMap: (...args) => backend.extentMap(...args),
    diff,
  }
}

/** Each file's map is read once, the first time that it is compared. */
function rememberedMaps(backend: StorageBackend): StorageBackend['diff'] {
  const remembered = new Map<string, readonly ExtentBatch[]>()
  async function* extentMap(file: string): AsyncGenerator<ExtentBatch> {
    if (!remembered.has(file)) remembered.set(file, await collect(backend.extentMap(file)))
    yield* remembered.get(file)!
  }
  return (base, target, options) => physicalDiff({ base, target, extentMap }, options)
}

async function missingHoles(backend: StorageBackend, base: string, target: string) {
  const before = new Set((await collect(backend.extentMap(base))).flat().map(identity))
  const after = (await collect(backend.extentMap(target))).flat().filter(({ unwritten }) => !unwritten)
  const changed = after.filter((extent) => !before.has(identity(extent)))
  const ranges = changed.map(({ start, length }): ChangedRange => ({ start, length, kind: 'data' }))
  return {
    method: 'physical' as const,
    ranges: (async function* () {
      yield ranges
    })(),
  }
}

function identity({ start, length, physicalStart }: Extent): string {
  return `${start} ${length} ${physicalStart}`
}

async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const value of values) collected.push(value)
  return collected
}
