import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DenseStretch } from '../../../core/extents/dense-stretch.ts'
import { type ByteRange, NEAR_BYTES } from '../../../core/extents/join-near.ts'
import { Random, seedsFrom } from '../../support/random.ts'

const KIB = 1024
const MIB = KIB * KIB

interface Walk {
  readonly asked: number
  /** What the map calls data. */
  readonly mapped: readonly ByteRange[]
}

/** As the backend for NFS walks: from the end of one range on, the server is asked for the next. */
function walk(data: readonly ByteRange[]): Walk {
  const stretch = new DenseStretch()
  const mapped: ByteRange[] = []
  let asked = 0
  let index = 0
  for (let position = 0; ; ) {
    while (index < data.length && endOf(data[index]!) <= position) index++
    const next = data[index]
    if (next === undefined) return { asked, mapped }
    asked++
    const start = Math.max(next.start, position)
    const length = endOf(next) - start
    position = endOf(next) + stretch.behind({ start, length })
    mapped.push({ start, length: position - start })
  }
}

function endOf({ start, length }: ByteRange): number {
  return start + length
}

function bytesOf(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { length }) => sum + length, 0)
}

/** Blocks of 4 KiB with holes of this size between them. */
function blocks(count: number, hole: number, from = 0): ByteRange[] {
  return Array.from({ length: count }, (_, index) => ({
    start: from + index * (4 * KIB + hole),
    length: 4 * KIB,
  }))
}

test('holes that are worth a question are all found', () => {
  const data = blocks(10_000, NEAR_BYTES + 1)
  assert.deepEqual(walk(data), { asked: data.length, mapped: data })
})

test('a few ranges that lie close together are told apart', () => {
  const data = [...blocks(60, 4 * KIB), ...blocks(60, 4 * KIB, MIB)]
  assert.deepEqual(walk(data), { asked: data.length, mapped: data })
})

test('a hundred thousand ranges that lie close together take a few hundred questions', () => {
  const { asked, mapped } = walk(blocks(100_000, 4 * KIB))
  assert.ok(asked < 600, `${asked} questions`)
  assert.ok(bytesOf(mapped) <= 100_000 * 8 * KIB + 16 * MIB)
})

test('the hole behind a dense stretch is found, but for as much as the stretch was long, or 16 MiB', () => {
  for (const count of [64, 100, 1000, 100_000]) {
    const data = blocks(count, 4 * KIB)
    const dense = endOf(data.at(-1)!)
    const far = { start: dense + 1024 * MIB, length: 4 * KIB }
    const { mapped } = walk([...data, far])
    assert.deepEqual(mapped.at(-1), far)
    const beyond = endOf(mapped.at(-2)!) - dense
    assert.ok(beyond <= Math.min(dense, 16 * MIB), `${count}: ${beyond} bytes beyond ${dense}`)
  }
})

test('whatever lies in a file, all of it is mapped, in order', () => {
  for (const seed of seedsFrom(process.env['MODEL_SEEDS'], '1-100')) {
    const random = new Random(seed)
    const data: ByteRange[] = []
    let end = 0
    for (let stretches = random.between(1, 6); stretches > 0; stretches--) {
      const largest = random.pick([4 * KIB, NEAR_BYTES, MIB])
      for (let count = random.magnitude(1, 3000); count > 0; count--) {
        const start = end + random.between(1, largest)
        const length = random.between(1, largest)
        data.push({ start, length })
        end = start + length
      }
    }
    const { mapped } = walk(data)
    let at = 0
    for (const range of data) {
      // A range that begins in what was taken without asking comes in two.
      for (let covered = range.start; covered < endOf(range); covered = endOf(mapped[at]!)) {
        while (at < mapped.length && endOf(mapped[at]!) <= covered) at++
        assert.ok((mapped[at]?.start ?? Infinity) <= covered, `seed ${seed}: ${covered} is not mapped`)
      }
    }
    for (const [index, { start }] of mapped.entries())
      assert.ok(index === 0 || start >= endOf(mapped[index - 1]!), `seed ${seed}: out of order at ${start}`)
  }
})
