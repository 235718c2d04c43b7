import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { compareRanges } from '../../../core/extents/compare-ranges.ts'
import type { ChangedRange } from '../../../core/storage-backend.ts'
import { Random } from '../../support/random.ts'

const MIB = 1024 * 1024

describe('comparing contents', () => {
  let folder = ''
  let base = ''
  let target = ''

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'diskferry-compare-'))
    base = join(folder, 'base')
    target = join(folder, 'target')
  })
  after(() => rm(folder, { recursive: true }))

  async function compare(ranges: { start: number; length: number }[], signal?: AbortSignal) {
    const found: ChangedRange[] = []
    for await (const batch of compareRanges(base, target, ranges, signal)) found.push(...batch)
    return found
  }

  it('names whole blocks of 4 KiB on the grid of the file, cut to the range', async () => {
    const content = Buffer.alloc(20_000, 1)
    await writeFile(base, content)
    content[5000] = 9
    content[12_288] = 9
    await writeFile(target, content)
    assert.deepEqual(await compare([{ start: 4500, length: 9000 }]), [
      { start: 4500, length: 3692, kind: 'data' },
      { start: 12_288, length: 1212, kind: 'data' },
    ])
  })

  it('calls a block zero only when the target holds nothing but zeros in it', async () => {
    await writeFile(base, Buffer.alloc(3 * 4096, 1))
    const content = Buffer.alloc(3 * 4096)
    content[4096 + 4095] = 1
    await writeFile(target, content)
    assert.deepEqual(await compare([{ start: 0, length: 3 * 4096 }]), [
      { start: 0, length: 4096, kind: 'zero' },
      { start: 4096, length: 4096, kind: 'data' },
      { start: 8192, length: 4096, kind: 'zero' },
    ])
  })

  it('takes what lies beyond the end of the base for zeros', async () => {
    await writeFile(base, Buffer.alloc(5000, 1))
    const content = Buffer.alloc(16_384)
    content.fill(1, 0, 5000)
    content[16_000] = 3
    await writeFile(target, content)
    assert.deepEqual(await compare([{ start: 0, length: 16_384 }]), [
      { start: 12_288, length: 4096, kind: 'data' },
    ])
  })

  it('fails when the target ends before the range does', async () => {
    await writeFile(base, Buffer.alloc(100, 1))
    await writeFile(target, Buffer.alloc(50, 1))
    await assert.rejects(compare([{ start: 0, length: 100 }]), /ended at 50 while it was being compared/)
  })

  it('agrees with a comparison of both files in memory, over many pieces', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const random = new Random(seed)
      const size = 5 * MIB + random.between(0, 9999)
      const content = random.bytes(size)
      const copy = Buffer.from(content)
      await writeFile(base, content)
      for (let count = 0; count < 40; count++) {
        const start = random.between(0, size - 1)
        content.fill(random.pick([0, 1, 255]), start, start + random.magnitude(1, 200_000))
      }
      await writeFile(target, content)
      for (const { start, length, kind } of await compare([{ start: 0, length: size }])) {
        const part = content.subarray(start, start + length)
        if (kind === 'zero')
          assert.ok(
            part.every((byte) => byte === 0),
            `seed ${seed}: zero at ${start}`,
          )
        part.copy(copy, start)
      }
      assert.ok(copy.equals(content), `seed ${seed}`)
    }
  })

  it('ends at an abort and leaves no descriptor open', async () => {
    await writeFile(base, Buffer.alloc(32 * MIB, 1))
    await writeFile(target, Buffer.alloc(32 * MIB, 2))
    const controller = new AbortController()
    const before = (await readdir('/proc/self/fd')).length
    await assert.rejects(async () => {
      for await (const _ of compareRanges(
        base,
        target,
        [{ start: 0, length: 32 * MIB }],
        controller.signal,
      )) {
        controller.abort()
      }
    }, /abort/i)
    assert.equal((await readdir('/proc/self/fd')).length, before)
  })

  it('leaves no descriptor open when the reader stops early', async () => {
    const before = (await readdir('/proc/self/fd')).length
    for await (const _ of compareRanges(base, target, [{ start: 0, length: 32 * MIB }])) break
    assert.equal((await readdir('/proc/self/fd')).length, before)
  })
})
