import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AskAllocated, allocatedRanges } from '../../backends/cifs/allocated-ranges.ts'
import type { DataRange } from '../../native/seek-ranges.ts'
import { SystemCallError } from '../../native/system-call-error.ts'
import { Random, seedsFrom } from '../support/random.ts'

const KIB = 1024
const GIB = KIB ** 3
const TIB = KIB * GIB
const EIO = 5
const E2BIG = 7
const EOPNOTSUPP = 95
const EHOSTDOWN = 112
/** What the Linux client leaves room for. */
const RANGES_PER_ANSWER = 1024

const failure = (errno: number) => new SystemCallError('ioctl(FS_IOC_FIEMAP)', errno, '/disk')
const endOf = ({ start, length }: DataRange) => start + length

interface ServerOptions {
  /** Windows answers with the ranges as they are, Samba cuts them to the question. */
  readonly cuts: boolean
  readonly tooLong: number
}

function server(ranges: readonly DataRange[], { cuts, tooLong }: ServerOptions): AskAllocated {
  return async (start, length) => {
    const end = start + length
    const found = ranges.filter((range) => range.start < end && endOf(range) > start)
    if (found.length > RANGES_PER_ANSWER) throw failure(tooLong)
    if (!cuts) return found
    return found.map((range) => {
      const from = Math.max(start, range.start)
      return { start: from, length: Math.min(end, endOf(range)) - from }
    })
  }
}

async function all(size: number, ask: AskAllocated, now?: () => number): Promise<DataRange[]> {
  const found: DataRange[] = []
  for await (const batch of allocatedRanges(size, ask, undefined, now)) {
    assert.ok(batch.length > 0, 'an empty batch')
    found.push(...batch)
  }
  return found
}

/** A range that goes over the end of a window comes in two. */
function joined(ranges: readonly DataRange[]): DataRange[] {
  const result: { start: number; length: number }[] = []
  for (const { start, length } of ranges) {
    const last = result.at(-1)
    if (last !== undefined && endOf(last) === start) last.length += length
    else result.push({ start, length })
  }
  return result
}

function randomRanges(random: Random): { readonly size: number; readonly ranges: DataRange[] } {
  const ranges: DataRange[] = []
  let end = 0
  for (let cluster = random.between(0, 6); cluster > 0; cluster--) {
    end += random.magnitude(1, TIB)
    const largest = random.pick([4 * KIB, KIB ** 2])
    for (let count = random.magnitude(1, 8000); count > 0; count--) {
      const start = end + random.between(1, largest)
      const length = random.between(1, largest)
      ranges.push({ start, length })
      end = start + length
    }
  }
  const size = random.chance(0.5) ? end : Math.max(0, end + random.between(-3 * KIB ** 2, GIB))
  return { size, ranges }
}

test('whatever lies in a file, all of it is found and nothing else, up to its size', async () => {
  for (const seed of seedsFrom(process.env['MODEL_SEEDS'], '1-100')) {
    const random = new Random(seed)
    const { size, ranges } = randomRanges(random)
    const options = { cuts: random.chance(0.5), tooLong: random.pick([EIO, E2BIG]) }
    const wanted = ranges
      .filter(({ start }) => start < size)
      .map((range) => ({ start: range.start, length: Math.min(size, endOf(range)) - range.start }))
    const found = joined(await all(size, server(ranges, options)))
    assert.deepEqual(found, joined(wanted), `seed ${seed}`)
  }
})

test('an empty disk of 16 TiB is a matter of a few questions', async () => {
  let questions = 0
  const ask: AskAllocated = async () => {
    questions++
    return []
  }
  assert.deepEqual(await all(16 * TIB, ask), [])
  assert.ok(questions <= 16, `${questions} questions`)
})

test('more extents than one call gives are asked for again in smaller windows', async () => {
  const ranges = Array.from({ length: 100 }, (_, index) => ({ start: index * 100 * KIB, length: KIB }))
  const ask: AskAllocated = async (start, length) => {
    const found = ranges.filter((range) => range.start >= start && range.start < start + length)
    return found.length > 10 ? undefined : found
  }
  assert.deepEqual(await all(100 * 100 * KIB, ask), ranges)
})

for (const [what, errno] of [
  ['does not know the question', EOPNOTSUPP],
  ['answers with EIO however little is asked', EIO],
] as const) {
  test(`when a server ${what}, the rest of the file counts as data`, async () => {
    const healthy = 64 * KIB ** 2
    const ask: AskAllocated = async (start, length) => {
      if (start + length > healthy) throw failure(errno)
      return [{ start: 4096, length: 4096 }]
    }
    const found = joined(await all(GIB, ask))
    assert.deepEqual(found[0], { start: 4096, length: 4096 })
    const rest = found.at(-1)!
    assert.equal(found.length, 2)
    assert.ok(rest.start <= healthy && endOf(rest) === GIB, JSON.stringify(rest))
  })
}

test('any other error is thrown: a server that is gone is not a disk full of data', async () => {
  const ask: AskAllocated = () => Promise.reject(failure(EHOSTDOWN))
  await assert.rejects(all(GIB, ask), { code: 'EHOSTDOWN' })
})

for (const [what, answer] of [
  [
    'out of order',
    [
      { start: 8192, length: 4096 },
      { start: 0, length: 4096 },
    ],
  ],
  [
    'over one another',
    [
      { start: 0, length: 8192 },
      { start: 4096, length: 8192 },
    ],
  ],
  ['without a length', [{ start: 4096, length: 0 }]],
  ['beyond what a number holds', [{ start: 4096, length: Number.POSITIVE_INFINITY }]],
] as const) {
  test(`ranges ${what} are an error`, async () => {
    await assert.rejects(
      all(GIB, async () => answer),
      /the SMB server's allocated ranges .* are not in order/,
    )
  })
}

test('asking ends when it takes longer than reading the holes would', async () => {
  const clock = { now: 0 }
  const ask: AskAllocated = async (start, length) => {
    clock.now += 20_000
    return [{ start, length: length - 4096 }]
  }
  const found = joined(await all(TIB, ask, () => clock.now))
  assert.equal(clock.now, 40_000)
  assert.equal(found.length, 2)
  assert.equal(endOf(found[1]!), TIB)

  const rich: AskAllocated = async () => {
    clock.now += 600
    return []
  }
  assert.deepEqual(await all(16 * TIB, rich, () => clock.now), [])
})

test('a server that takes long for what it finds is asked for no more at once, one that always does is', async () => {
  const clock = { now: 0 }
  const lengths: number[] = []
  const slow = (ranges: number, least: number) => async (start: number, length: number) => {
    clock.now += 2000
    lengths.push(length)
    return Array.from({ length: ranges }, (_, index) => ({ start: start + index * least * 2, length: least }))
  }
  await all(KIB ** 3, slow(64, 4096), () => clock.now)
  assert.deepEqual(new Set(lengths), new Set([512 * KIB]))
  lengths.length = 0
  assert.deepEqual((await all(16 * TIB, slow(1, 4096), () => clock.now)).length, lengths.length)
  assert.ok(lengths.length <= 16, `${lengths.length} questions`)
})

test('an abort ends the questions', async () => {
  const aborter = new AbortController()
  let questions = 0
  const ask: AskAllocated = async (start) => {
    questions++
    return [{ start, length: 1 }]
  }
  await assert.rejects(async () => {
    for await (const _ of allocatedRanges(TIB, ask, aborter.signal)) aborter.abort()
  }, /abort/i)
  assert.equal(questions, 1)
})
