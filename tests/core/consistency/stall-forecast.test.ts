import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeEveryOtherBlock } from '../../../conformance/guest/fragments.ts'
import { estimateClone } from '../../../core/consistency/stall-estimate.ts'
import type { StallForecastOptions } from '../../../core/consistency/stall-forecast.ts'
import type { Log } from '../../../core/log.ts'
import { REFLINK_STORAGE } from '../../storage/matrix.ts'
import { makeCore, type TestCore } from '../../support/core.ts'
import { hookProgram } from '../../support/hook-program.ts'
import { leftBehind } from '../../support/snapshot-folders.ts'
import { failsWith, VM, WHOLE } from '../../support/snapshot-test.ts'
import { storageTest } from '../../support/storage-test.ts'

const EXTENTS = 5000

interface ForecastBench {
  readonly mount: string
  readonly core: TestCore
  readonly lines: readonly { readonly message: string; readonly extents?: number }[]
}

/** A VM whose disk has 5000 extents or more, on each filesystem. */
function forecastTest(
  sentence: string,
  forecast: StallForecastOptions,
  body: (bench: ForecastBench) => Promise<void>,
): void {
  for (const kind of REFLINK_STORAGE.filter(({ name }) => name === 'xfs' || name === 'btrfs')) {
    storageTest(kind, sentence, async ({ mount, filesystem, signal }) => {
      const disk = join(mount, 'disk.img')
      await writeFile(disk, '')
      await writeEveryOtherBlock(disk, EXTENTS, signal)
      const lines: { message: string }[] = []
      const note = (fields: object, message: string) => void lines.push({ ...fields, message })
      const log: Log = { info: note, warn: note, error: note }
      const hook = await hookProgram(join(filesystem.image, '..'), 'hook', 'exit 9')
      await using core = await makeCore({
        mounts: [mount],
        vms: [{ name: VM, disks: [disk] }],
        dbFile: join(filesystem.image, '..', 'test.db'),
        log,
        forecast,
        quiesce: { after: [hook.path] },
      })
      await body({ mount, core, lines })
    })
  }
}

forecastTest(
  'a snapshot whose clones would take too long is refused before anything is done',
  { maxStallMs: 5, onLongStall: 'refuse' },
  async ({ core, mount, lines }) => {
    const refused = failsWith(
      'STALL_TOO_LONG',
      /disk\.img of VM vm-1, which has (at least )?\d+ extents.*more than quiesce\.max_stall \(5 ms\); defragment/,
    )
    await assert.rejects(core.snapshots.create(VM, WHOLE), refused)
    assert.deepEqual(await leftBehind(mount), [])
    assert.deepEqual(await core.store.vmIds(), [])
    // No hook was run.
    assert.ok(!lines.some(({ message }) => message.includes('quiesce.after')))
  },
)

forecastTest(
  'where it only warns, the snapshot is taken, and the next forecast goes by what this one took',
  { maxStallMs: 1, onLongStall: 'warn' },
  async ({ core, lines }) => {
    const first = await core.snapshots.create(VM, WHOLE)
    const record = (await core.store.read(VM)).snapshots[0]!.disks[0]!
    assert.ok(record.extents! >= EXTENTS, `${record.extents} extents`)
    assert.equal(first.stallForecastMs, Math.round(record.extents! * 0.03 * 1000) / 1000)
    const warned = lines.find(({ message }) => message.includes('would make its guest wait'))
    assert.equal(warned?.extents, record.extents)
    assert.ok(lines.some(({ message }) => message.includes('took longer than quiesce.max_stall')))
    const second = await core.snapshots.create(VM, WHOLE)
    const disk = (await core.store.read(VM)).snapshots[1]!.disks[0]!
    const expected = (disk.extents! * record.cloneMs!) / record.extents!
    assert.ok(Math.abs(second.stallForecastMs! - expected) < 0.01, `${second.stallForecastMs} ${expected}`)
  },
)

forecastTest(
  'a disk of which the extents can be cloned in time is forecast and taken',
  { maxStallMs: 60_000, onLongStall: 'refuse' },
  async ({ core, lines }) => {
    const { stallForecastMs, stallMs } = await core.snapshots.create(VM, WHOLE)
    assert.ok(stallForecastMs! >= EXTENTS * 0.03)
    assert.ok(stallMs! > 0)
    assert.ok(!lines.some(({ message }) => message.includes('wait')))
  },
)

test('an estimate goes by the disk, else by the backend, else by what is usual', () => {
  const near = (value: number, expected: number) => assert.ok(Math.abs(value - expected) < 1e-6, `${value}`)
  near(estimateClone(1_000_000, [], []), 30_000)
  near(estimateClone(2000, [], [{ extents: 1000, ms: 50 }]), 100)
  near(estimateClone(2000, [{ extents: 4000, ms: 40 }], [{ extents: 1000, ms: 50 }]), 20)
  // What a clone of few extents took is not the extents' doing.
  near(estimateClone(100_000, [{ extents: 10, ms: 25 }], [{ extents: 10, ms: 9000 }]), 25 + 3000)
  near(estimateClone(100_000, [], [{ extents: 10, ms: 9000 }]), 3000)
  // One that was slow for another reason does not count among others.
  const rates = [9, 10, 500, 11, 12, 1, 1].map((rate) => ({ extents: 1000, ms: rate * 1000 }))
  near(estimateClone(1000, rates, []), 11_000)
  near(estimateClone(0, [], []), 0)
})
