import assert from 'node:assert/strict'
import type { Check } from '../check.ts'
import type { CheckContext } from '../check-context.ts'

const KIB = 1024
const SIZES = [1, 4095, 4096, 4097, 1024 * KIB + 1]

export const mapChecks: readonly Check[] = [
  {
    name: 'the extents of a full disk hold every byte, in order, and end with the disk',
    async run(context) {
      for (const size of SIZES) {
        const disk = await context.fullDisk(size, `disk-${size}`)
        await context.checkMap(disk)
        await disk.sync()
        await context.checkMap(disk)
        await context.checkMap(await context.clone(disk, `clone-${size}`))
      }
    },
  },
  {
    name: 'an empty disk has no extents',
    async run(context) {
      const disk = await context.disk(0)
      assert.deepEqual(await context.checkMap(disk), [])
      assert.deepEqual(await context.checkMap(await context.clone(disk, 'clone')), [])
    },
  },
  {
    name: 'what was written a moment before and is not on the disk yet has extents',
    async run(context) {
      const disk = await context.disk(1024 * KIB)
      await disk.fill(100_000, 100_000, 1)
      await disk.sync()
      await disk.fill(500_001, 50_000, 1)
      await context.checkMap(disk)
    },
  },
  { name: 'islands of data between holes have extents', run: checkIslands },
  {
    name: 'a discarded range leaves the data around it in the map',
    needs: ['punch-hole'],
    async run(context) {
      const disk = await context.fullDisk(1024 * KIB)
      await disk.fallocate('punch-hole', 70_001, 333_333)
      await context.checkMap(disk)
      await context.checkMap(await context.clone(disk, 'clone'))
    },
  },
  {
    name: 'data inside an allocated range is told from what was only allocated',
    needs: ['preallocate'],
    async run(context) {
      const disk = await context.disk(1024 * KIB)
      await disk.fallocate('allocate', 0, 1024 * KIB)
      await disk.fill(200_000, 5000, 1)
      await context.checkMap(disk)
      await disk.sync()
      await context.checkMap(disk)
      await context.checkMap(await context.clone(disk, 'clone'))
    },
  },
  {
    name: 'space that is kept behind the end is not in the map',
    needs: ['keep-size'],
    async run(context) {
      const disk = await context.fullDisk(100_001)
      await disk.fallocate('keep-size', 100_001, 1024 * KIB)
      await disk.sync()
      await context.checkMap(disk)
      await context.checkMap(await context.clone(disk, 'clone'))
    },
  },
]

async function checkIslands(context: CheckContext): Promise<void> {
  const disk = await context.disk(4 * 1024 * KIB + 5)
  for (const [start, length] of [
    [0, 1],
    [64 * KIB, 4 * KIB],
    [200_001, 77],
    [1024 * KIB - 1, 2],
    [4 * 1024 * KIB + 4, 1],
  ] as const) {
    await disk.fill(start, length, 1)
  }
  await context.checkMap(disk)
  await disk.sync()
  await context.checkMap(disk)
  await context.checkMap(await context.clone(disk, 'clone'))
}
