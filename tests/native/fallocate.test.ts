import assert from 'node:assert/strict'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dedupeRange } from '../../native/dedupe-range.ts'
import { fallocate } from '../../native/fallocate.ts'
import { storageTest } from '../support/storage-test.ts'

const MIB = 1024 * 1024

for (const name of ['xfs', 'btrfs'] as const) {
  storageTest(name, 'fallocate discards, zeroes and grows what it is told to', async ({ mount }) => {
    const path = join(mount, 'disk')
    await using handle = await open(path, 'w+')
    await handle.write(Buffer.alloc(MIB, 1))
    await fallocate(handle, path, 'punch-hole', 4096, 4096)
    await fallocate(handle, path, 'zero-range', 16_384, 4096)
    await fallocate(handle, path, 'keep-size', 0, 2 * MIB)
    assert.equal((await handle.stat()).size, MIB)
    await fallocate(handle, path, 'allocate', 0, 2 * MIB)
    const expected = Buffer.alloc(2 * MIB)
    expected.fill(1, 0, MIB)
    expected.fill(0, 4096, 8192)
    expected.fill(0, 16_384, 20_480)
    assert.ok((await readFile(path)).equals(expected))
  })

  storageTest(
    name,
    'deduplication shares equal ranges and leaves different ones alone',
    async ({ mount }) => {
      const [left, right] = [join(mount, 'left'), join(mount, 'right')]
      await using source = await open(left, 'w+')
      await using target = await open(right, 'w+')
      await source.write(Buffer.alloc(MIB, 1))
      await target.write(Buffer.alloc(MIB, 1))
      await target.write(Buffer.alloc(4096, 2), 0, 4096, MIB / 2)
      await source.sync()
      await target.sync()
      const files = [
        { handle: source, path: left },
        { handle: target, path: right },
      ] as const
      assert.equal(await dedupeRange(files[0], 0, files[1], 0, 65_536), 65_536)
      assert.equal(await dedupeRange(files[0], MIB / 2, files[1], MIB / 2, 4096), 0)
      assert.equal((await readFile(right))[MIB / 2], 2)
    },
  )
}
