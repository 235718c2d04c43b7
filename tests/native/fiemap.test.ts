import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Extent } from '../../core/storage-backend.ts'
import { FIEMAP_EXTENT } from '../../native/fiemap-call.ts'
import { fiemapExtents, toExtent } from '../../native/fiemap-extents.ts'
import { fiemapWindow } from '../../native/fiemap-window.ts'
import { type DataRange, seekDataRanges } from '../../native/seek-ranges.ts'
import { REFLINK_STORAGE } from '../storage/matrix.ts'
import { storageTest } from '../support/storage-test.ts'

async function mapOf(file: string): Promise<Extent[]> {
  const extents: Extent[] = []
  for await (const batch of fiemapExtents(file)) extents.push(...batch)
  return extents
}

/** What filefrag(8) says of a file, in bytes; an oracle that is not our code. */
function filefrag(file: string): { start: number; length: number; physicalStart: number }[] {
  const printed = execFileSync('filefrag', ['-v', '-b1', file], { encoding: 'utf8' })
  return [...printed.matchAll(/^\s*\d+:\s+(\d+)\.\.\s*(\d+):\s+(\d+)\.\.\s*\d+:/gm)].map(
    ([, first, last, place]) => ({
      start: Number(first),
      length: Number(last) - Number(first) + 1,
      physicalStart: Number(place),
    }),
  )
}

for (const kind of REFLINK_STORAGE) {
  storageTest(kind, 'FIEMAP through koffi says what filefrag says', async ({ mount }) => {
    const file = join(mount, 'disk')
    {
      await using handle = await open(file, 'w')
      for (let index = 0; index < 50; index++) {
        await handle.write(Buffer.alloc(16_384, index + 1), 0, 16_384, index * 65_536)
      }
    }
    const ours = await mapOf(file)
    const theirs = filefrag(file)
    assert.deepEqual(
      ours.map(({ start, length }) => [start, length]),
      theirs.map(({ start, length }) => [start, length]),
    )
    for (const [index, extent] of ours.entries()) {
      if (extent.physicalStart !== null) assert.equal(extent.physicalStart, theirs[index]!.physicalStart)
    }
  })

  storageTest(kind, 'the map is clipped to a size that is no multiple of a block', async ({ mount }) => {
    const file = join(mount, 'disk')
    await writeFile(file, Buffer.alloc(1_000_001, 7))
    const extents = await mapOf(file)
    const last = extents.at(-1)!
    assert.equal(last.start + last.length, 1_000_001)
  })

  storageTest(
    kind,
    'preallocation beyond the end is left out, before it it is unwritten',
    async ({ mount }) => {
      const file = join(mount, 'disk')
      await writeFile(file, Buffer.alloc(100_000, 7))
      execFileSync('fallocate', ['--keep-size', '-l', '10MiB', file])
      const clipped = await mapOf(file)
      assert.equal(
        clipped.reduce((sum, { length }) => sum + length, 0),
        100_000,
      )
      execFileSync('fallocate', ['-o', '1MiB', '-l', '1MiB', file])
      const beyondTheData = (await mapOf(file)).filter(({ start, length }) => start + length > 1024 * 1024)
      assert.ok(beyondTheData.length > 0 && beyondTheData.every(({ unwritten }) => unwritten))
    },
  )

  storageTest(kind, 'data ranges by SEEK_DATA cover every byte that is not zero', async ({ mount }) => {
    const file = join(mount, 'disk')
    await using handle = await open(file, 'w+')
    await handle.truncate(3_000_001)
    await handle.write(Buffer.alloc(5000, 1), 0, 5000, 70_000)
    await handle.write(Buffer.alloc(1, 1), 0, 1, 3_000_000)
    const ranges: DataRange[] = []
    for await (const batch of seekDataRanges(handle, file, 3_000_001)) ranges.push(...batch)
    const covers = (byte: number) =>
      ranges.some(({ start, length }) => byte >= start && byte < start + length)
    assert.ok(covers(70_000) && covers(74_999) && covers(3_000_000))
    assert.ok(!covers(1_500_000), 'a megabyte into the hole is no data')
    assert.ok(ranges.every(({ start, length }) => start + length <= 3_000_001))
  })
}

storageTest('xfs', 'a file of 20,000 extents is paged to its end', async ({ mount }) => {
  const file = join(mount, 'disk')
  await using handle = await open(file, 'w')
  // At its full size from the start: XFS preallocates behind a file that grows.
  await handle.truncate(20_000 * 8192)
  for (let index = 0; index < 20_000; index++)
    await handle.write(Buffer.alloc(4096, 1), 0, 4096, index * 8192)
  const extents = await mapOf(file)
  assert.equal(extents.length, 20_000)
  assert.ok(extents.every(({ start }, index) => start === index * 8192))
})

storageTest(
  'xfs',
  'a window has the extents that touch it, and none when they are too many for one call',
  async ({ mount }) => {
    const file = join(mount, 'disk')
    await using handle = await open(file, 'w+')
    await handle.truncate(5000 * 8192)
    for (let index = 0; index < 5000; index++)
      await handle.write(Buffer.alloc(4096, 1), 0, 4096, index * 8192)
    const starts = async (start: number, length: number) =>
      (await fiemapWindow(handle, file, start, length))?.map(({ logical }) => logical / 8192)
    assert.deepEqual(await starts(8192, 8192), [1])
    assert.deepEqual(await starts(3 * 8192 + 4095, 8192), [3, 4])
    assert.deepEqual(await starts(3 * 8192 + 4096, 4096), [])
    assert.equal((await starts(0, 4000 * 8192))?.length, 4000)
    assert.equal(await starts(0, 5000 * 8192), undefined)
  },
)

storageTest('xfs', 'an abort ends a map between two pages', async ({ mount }) => {
  const file = join(mount, 'disk')
  await writeFile(file, Buffer.alloc(4096, 1))
  await assert.rejects(async () => {
    for await (const _ of fiemapExtents(file, AbortSignal.abort())) assert.fail('a batch after an abort')
  }, /abort/i)
})

test('a filesystem without FIEMAP ends as an error with code, call and path', async () => {
  await assert.rejects(mapOf('/proc/self/status'), (error: NodeJS.ErrnoException) => {
    assert.equal(error.code, 'EOPNOTSUPP')
    assert.equal(error.syscall, 'ioctl(FS_IOC_FIEMAP)')
    assert.equal(error.path, '/proc/self/status')
    return true
  })
})

test('an address is believed only when every flag is one that leaves it meaningful', () => {
  const extentOf = (flags: number) => toExtent({ logical: 0, physical: 4096, length: 4096, flags }, 4096)
  for (const flag of [0, FIEMAP_EXTENT.LAST, FIEMAP_EXTENT.MERGED, FIEMAP_EXTENT.SHARED]) {
    assert.equal(extentOf(flag).physicalStart, 4096)
  }
  for (let bit = 0; bit < 32; bit++) {
    const flag = 2 ** bit
    const harmless = [1, 0x800, 0x1000, 0x2000].includes(flag)
    assert.equal(extentOf(flag).physicalStart === null, !harmless, `flag 0x${flag.toString(16)}`)
  }
  assert.equal(extentOf(FIEMAP_EXTENT.UNWRITTEN).unwritten, true)
  assert.equal(extentOf(FIEMAP_EXTENT.UNWRITTEN | FIEMAP_EXTENT.DELALLOC).unwritten, false)
})

test('an address beyond 2^53 is not believed', () => {
  const raw = { logical: 0, physical: Number.POSITIVE_INFINITY, length: 4096, flags: 0 }
  assert.equal(toExtent(raw, 4096).physicalStart, null)
})
