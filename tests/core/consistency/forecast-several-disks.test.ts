import assert from 'node:assert/strict'
import { readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import xfs from '../../../backends/xfs/index.ts'
import { writeEveryOtherBlock } from '../../../conformance/guest/fragments.ts'
import type { StallForecastOptions } from '../../../core/consistency/stall-forecast.ts'
import type { StorageBackend } from '../../../core/index.ts'
import type { Log } from '../../../core/log.ts'
import { makeCore, type TestCore } from '../../support/core.ts'
import { leftBehind } from '../../support/snapshot-folders.ts'
import { failsWith, VM, WHOLE } from '../../support/snapshot-test.ts'
import { storageTest } from '../../support/storage-test.ts'

const MS_PER_EXTENT = 0.03
const COUNTED_OF_STUCK = 100

interface Line {
  readonly message: string
  readonly disk?: string
  readonly extents?: number
}

interface SeveralBench {
  readonly mount: string
  readonly core: TestCore
  readonly lines: readonly Line[]
}

const real = xfs()

/** Gives the first extents of the disk `stuck.img`, and the others when it is told to stop. */
const slow: StorageBackend = {
  manifest: real.manifest,
  checkCompatibility: real.checkCompatibility.bind(real),
  clone: real.clone.bind(real),
  diff: real.diff.bind(real),
  async *extentMap(file, signal) {
    const path = await readlink(file)
    const stuck = path.endsWith('/stuck.img') && !path.includes('/CoriolisSnapshots/')
    for await (const batch of real.extentMap(file)) {
      if (stuck) {
        yield batch.slice(0, COUNTED_OF_STUCK)
        // By timers, since the limit's own one does not keep the process.
        while (!signal!.aborted) await delay(20)
        yield batch.slice(COUNTED_OF_STUCK)
      } else yield batch
    }
  },
}

/** A VM with disks of so many extents or a few more, in this order, on XFS. */
function severalTest(
  sentence: string,
  disks: Readonly<Record<string, number>>,
  forecast: StallForecastOptions,
  body: (bench: SeveralBench) => Promise<void>,
): void {
  storageTest('xfs', sentence, async ({ mount, filesystem, signal }) => {
    const paths: string[] = []
    for (const [name, extents] of Object.entries(disks)) {
      const path = join(mount, name)
      await writeFile(path, '')
      await writeEveryOtherBlock(path, extents, signal)
      paths.push(path)
    }
    const lines: Line[] = []
    const note = (fields: object, message: string) => void lines.push({ ...fields, message })
    const log: Log = { info: note, warn: note, error: note }
    await using core = await makeCore({
      mounts: [mount],
      vms: [{ name: VM, disks: paths }],
      dbFile: join(filesystem.image, '..', 'test.db'),
      backends: [slow],
      log,
      forecast,
    })
    await body({ mount, core, lines })
  })
}

severalTest(
  'the disk that takes longest is the forecast, and the others are counted as well',
  { 'large.img': 5000, 'small.img': 1000 },
  { maxStallMs: 60_000, onLongStall: 'refuse' },
  async ({ core }) => {
    const { stallForecastMs } = await core.snapshots.create(VM, WHOLE)
    const { disks } = (await core.store.read(VM)).snapshots[0]!
    const [large, small] = disks.map(({ extents }) => extents!)
    assert.ok(large! >= 5000 && small! >= 1000 && small! < 5000, `${large} ${small}`)
    assert.equal(stallForecastMs, Math.round(large! * MS_PER_EXTENT * 1000) / 1000)
  },
)

severalTest(
  'a snapshot is refused for a disk of too many extents behind one that can not be counted in time',
  { 'stuck.img': 1000, 'large.img': 5000 },
  { maxStallMs: 50, onLongStall: 'refuse', countingMs: 2000 },
  async ({ core, mount }) => {
    await assert.rejects(
      core.snapshots.create(VM, WHOLE),
      failsWith('STALL_TOO_LONG', /disk large\.img of VM vm-1/),
    )
    assert.deepEqual(await leftBehind(mount), [])
  },
)

severalTest(
  'what was counted of a disk until the limit counts, when it is too much already',
  { 'stuck.img': 1000, 'small.img': 10 },
  { maxStallMs: 1, onLongStall: 'warn', countingMs: 1000 },
  async ({ core, lines }) => {
    const { stallForecastMs } = await core.snapshots.create(VM, WHOLE)
    assert.equal(stallForecastMs, COUNTED_OF_STUCK * MS_PER_EXTENT)
    const warned = lines.find(({ message }) => message.includes('would make its guest wait'))
    assert.match(warned!.message, /disk stuck\.img .*at least 100 extents.* some 3 ms/)
    assert.deepEqual([warned!.disk, warned!.extents], ['stuck.img', COUNTED_OF_STUCK])
  },
)

severalTest(
  'where the limit leaves the stall unknown, the snapshot is taken with a warning and no forecast',
  { 'stuck.img': 1000, 'small.img': 10 },
  { maxStallMs: 60_000, onLongStall: 'refuse', countingMs: 1000 },
  async ({ core, lines }) => {
    const { stallForecastMs } = await core.snapshots.create(VM, WHOLE)
    assert.equal(stallForecastMs, null)
    const warnings = lines.filter(({ message }) => message.includes('its stall is not forecast'))
    assert.deepEqual(
      warnings.map(({ disk, extents }) => [disk, extents]),
      [['stuck.img', COUNTED_OF_STUCK]],
    )
    const { disks } = (await core.store.read(VM)).snapshots[0]!
    assert.equal(disks[0]!.extents, undefined)
    assert.ok(disks[1]!.extents! >= 10)
  },
)
