import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BlockSample, type ByteRange, blocksIn } from '../../../core/audit/block-sample.ts'
import { unnoticedBlocks } from '../../../core/audit/confidence.ts'
import { SeededRandom } from '../../../core/audit/seeded-random.ts'
import { Random } from '../../support/random.ts'

const BLOCK = 4096

/** Each block of the ranges, cut to them, in order. */
function cut(ranges: readonly ByteRange[]): ByteRange[] {
  return ranges.flatMap(({ start, length }) => {
    const pieces: ByteRange[] = []
    for (let at = start; at < start + length; ) {
      const end = Math.min(start + length, (Math.floor(at / BLOCK) + 1) * BLOCK)
      pieces.push({ start: at, length: end - at })
      at = end
    }
    return pieces
  })
}

function pick(ranges: readonly ByteRange[], stratum: number, seed: number): ByteRange[] {
  return [...new BlockSample(stratum, cut(ranges).length, new SeededRandom(seed)).pick(ranges)]
}

describe('a sample of blocks', () => {
  it('has exactly one block of every so many in a row, over all ranges', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const random = new Random(seed)
      const ranges: ByteRange[] = []
      for (let at = 0, count = random.between(1, 20); count > 0; count--) {
        const start = at + random.between(1, 30_000)
        const length = random.magnitude(1, 200_000)
        ranges.push({ start, length })
        at = start + length
      }
      const all = cut(ranges)
      assert.equal(
        ranges.reduce((sum, range) => sum + blocksIn(range), 0),
        all.length,
      )
      const stratum = random.between(1, 12)
      const picked = pick(ranges, stratum, seed)
      assert.equal(picked.length, Math.ceil(all.length / stratum), `seed ${seed}`)
      for (const [row, block] of picked.entries()) {
        const inRow = all.slice(row * stratum, (row + 1) * stratum)
        assert.ok(
          inRow.some(({ start, length }) => start === block.start && length === block.length),
          `seed ${seed}, row ${row}`,
        )
      }
    }
  })

  it('is the same for the same seed, and another for another one', () => {
    const ranges = [{ start: 0, length: 1000 * BLOCK }]
    assert.deepEqual(pick(ranges, 10, 7), pick(ranges, 10, 7))
    assert.notDeepEqual(pick(ranges, 10, 7), pick(ranges, 10, 8))
  })

  it('goes on counting from one disk to the next', () => {
    const sample = new BlockSample(4, 6, new SeededRandom(3))
    const first = [...sample.pick([{ start: 0, length: 3 * BLOCK }])]
    const second = [...sample.pick([{ start: 0, length: 3 * BLOCK }])]
    assert.equal(first.length + second.length, 2)
  })

  it('takes each block of a row as often as any other', () => {
    const stratum = 5
    const times = new Array<number>(stratum).fill(0)
    for (let seed = 0; seed < 2000; seed++) {
      for (const { start } of pick([{ start: 0, length: 10 * BLOCK }], stratum, seed)) {
        times[(start / BLOCK) % stratum]! += 1
      }
    }
    for (const count of times) assert.ok(Math.abs(count - 800) < 120, times.join(' '))
  })

  it('reads at least as many blocks as were wanted, and not twice as many', () => {
    for (const [wanted, blocks] of [
      [1, 1000],
      [333, 1000],
      [501, 1000],
      [999, 1000],
      [5000, 1000],
      [10, 0],
    ] as const) {
      const rows = Math.ceil(blocks / BlockSample.stratumFor(wanted, blocks))
      assert.ok(rows >= Math.min(wanted, blocks) && rows <= 2 * wanted, `${wanted} of ${blocks}: ${rows}`)
    }
  })
})

describe('what a sample says of the blocks that were not read', () => {
  /** How likely it is to miss `different` blocks where they are hardest to find: spread evenly over the rows. */
  function missed(stratum: number, rows: number, different: number): number {
    const each = Math.floor(different / rows)
    const more = different % rows
    return (1 - each / stratum) ** (rows - more) * (1 - (each + 1) / stratum) ** more
  }

  it('is nothing when all were read', () => {
    assert.equal(unnoticedBlocks(1, 1000, 1000), 0)
    assert.equal(unnoticedBlocks(1, 0, 0), 0)
  })

  it('is not said with less than 95 % confidence, wherever the different blocks lie', () => {
    for (const stratum of [2, 3, 10, 1000, 1_000_000]) {
      for (const rows of [1, 2, 10, 59, 1000, 100_000]) {
        const bound = unnoticedBlocks(stratum, rows, stratum * rows)
        const rest = (stratum - 1) * rows
        if (bound < rest) assert.ok(missed(stratum, rows, bound + 1) <= 0.05, `${stratum} ${rows} ${bound}`)
        // Not said more carefully than by a few blocks or a few percent.
        const tighter = Math.floor(bound * 0.6) - 2
        if (tighter > 0) assert.ok(missed(stratum, rows, tighter) > 0.05, `${stratum} ${rows} ${bound}`)
      }
    }
  })

  it('holds when it is tried out: more different blocks than that are found 95 times of 100', () => {
    const [stratum, rows] = [20, 100]
    const different = unnoticedBlocks(stratum, rows, stratum * rows) + 1
    let found = 0
    for (let seed = 0; seed < 1000; seed++) {
      const random = new Random(seed)
      const bad = new Set<number>()
      while (bad.size < different) bad.add(random.between(0, stratum * rows - 1))
      const picked = pick([{ start: 0, length: stratum * rows * BLOCK }], stratum, seed)
      if (picked.some(({ start }) => bad.has(start / BLOCK))) found += 1
    }
    assert.ok(found >= 930, `${found} of 1000, with ${different} different blocks`)
  })
})
