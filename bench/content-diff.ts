/**
 * The speed of the content diff beside cmp(1), on the same two files in the same run: `npm run bench:content-diff`.
 * DIRECTORY, SIZE_MIB and ROUNDS from the environment; the files should fit in memory, or neither number says much.
 *
 * A disk that others use too may give twice as much in one second as in the next. So the turns are short and many, their
 * order is random, and the quartiles are told beside the medians.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contentDiff } from '../core/extents/content-diff.ts'
import { seekExtents } from '../native/index.ts'

const MIB = 1024 * 1024

async function writeFiles(folder: string, sizeMib: number): Promise<readonly [string, string]> {
  const [left, right] = [join(folder, 'left'), join(folder, 'right')]
  const piece = randomBytes(16 * MIB)
  await using leftFile = await open(left, 'wx')
  await using rightFile = await open(right, 'wx')
  for (let at = 0; at < sizeMib; at += 16) {
    piece.writeUInt32LE(at)
    await leftFile.write(piece)
    await rightFile.write(piece)
  }
  return [left, right]
}

async function secondsOfDiff(base: string, target: string): Promise<number> {
  const began = performance.now()
  const { ranges } = await contentDiff({ base, target, extentMap: seekExtents }, {})
  for await (const batch of ranges) if (batch.length > 0) throw new Error('the files should be equal')
  return (performance.now() - began) / 1000
}

function secondsOfCmp(base: string, target: string): number {
  const began = performance.now()
  const { status } = spawnSync('cmp', [base, target])
  if (status !== 0) throw new Error(`cmp ended with ${status}`)
  return (performance.now() - began) / 1000
}

function dropCaches(): void {
  execFileSync('sync')
  execFileSync('sh', ['-c', 'echo 3 > /proc/sys/vm/drop_caches'])
}

/** MiB/s. */
interface Speeds {
  readonly lowerQuartile: number
  readonly median: number
  readonly upperQuartile: number
}

function speedsOf(sizeMib: number, seconds: readonly number[]): Speeds {
  const ascending = seconds.map((value) => sizeMib / value).sort((a, b) => a - b)
  const at = (share: number) => ascending[Math.floor((ascending.length - 1) * share)]!
  return { lowerQuartile: at(0.25), median: at(0.5), upperQuartile: at(0.75) }
}

function shown({ lowerQuartile, median, upperQuartile }: Speeds): string {
  return `${median.toFixed(0)} MiB/s (${lowerQuartile.toFixed(0)} to ${upperQuartile.toFixed(0)})`
}

async function measure(name: string, files: readonly [string, string], sizeMib: number, before: () => void) {
  const [diff, cmp]: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds; round++) {
    const diffFirst = randomInt(2) === 0
    for (const turnOfDiff of [diffFirst, !diffFirst]) {
      before()
      if (turnOfDiff) diff.push(await secondsOfDiff(...files))
      else cmp.push(secondsOfCmp(...files))
    }
  }
  const [ours, theirs] = [speedsOf(sizeMib, diff), speedsOf(sizeMib, cmp)]
  const ratio = ours.median / theirs.median
  console.log(
    `${name}: content diff ${shown(ours)}, cmp ${shown(theirs)}, ratio of the medians of ${rounds} turns ${ratio.toFixed(2)}`,
  )
}

const { DIRECTORY = tmpdir(), SIZE_MIB = '512', ROUNDS = '32' } = process.env
const [sizeMib, rounds] = [Number(SIZE_MIB), Number(ROUNDS)]
const folder = await mkdtemp(join(DIRECTORY, 'diskferry-bench-'))
try {
  const files = await writeFiles(folder, sizeMib)
  await measure('from the page cache', files, sizeMib, () => undefined)
  if (process.getuid?.() === 0) await measure('from the disk', files, sizeMib, dropCaches)
} finally {
  await rm(folder, { recursive: true })
}
