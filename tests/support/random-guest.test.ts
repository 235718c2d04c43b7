import assert from 'node:assert/strict'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { REFLINK_STORAGE } from '../storage/matrix.ts'
import { blockMover } from './block-moves.ts'
import { command } from './command.ts'
import { DiskModel, firstDifference } from './disk-model.ts'
import { GuestHelper } from './guest-helper.ts'
import { Random } from './random.ts'
import { RandomGuest } from './random-guest.ts'
import { storageTest } from './storage-test.ts'

const DISK_BYTES = 9 * 1024 * 1024 + 1234

for (const kind of REFLINK_STORAGE) {
  storageTest(
    kind,
    'a guest, and moves of its blocks, leave the disk as the model says',
    async ({ mount }) => {
      const random = new Random(11)
      await using helper = new GuestHelper()
      const path = join(mount, 'disk.img')
      await writeFile(path, '')
      await truncate(path, DISK_BYTES)
      const model = new DiskModel(DISK_BYTES)
      const guest = new RandomGuest({ path, model, helper, random, maxBytes: 2 * DISK_BYTES })
      const mover = blockMover(kind.filesystem, mount, helper, random.fork('moves'))
      for (let round = 0; round < 60; round += 1) {
        await guest.steps(5)
        await mover.move({ path, size: model.size })
      }
      const difference = firstDifference(await readFile(path), model.snapshot())
      assert.equal(difference, undefined, [...guest.history, ...mover.history].join('\n'))
    },
  )

  storageTest(kind, 'relocating a range gives it other addresses and the same bytes', async ({ mount }) => {
    await using helper = new GuestHelper()
    const path = join(mount, 'disk.img')
    const content = new Random(12).bytes(256 * 1024 + 100)
    await writeFile(path, content)
    const addresses = async () => {
      await command('sync', [path])
      const map = await command('filefrag', ['-v', path])
      return map.match(/^ +\d+:.*$/gm)
    }
    const before = await addresses()
    await helper.do({ op: 'relocate', path, start: 0, length: content.length, donor: join(mount, 'donor') })
    assert.notDeepEqual(await addresses(), before)
    assert.equal(firstDifference(await readFile(path), content), undefined)
  })
}
