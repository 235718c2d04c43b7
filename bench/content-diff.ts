/**
 * The speed of the content diff beside cmp(1), on the same two files in the same run: `npm run bench:content-diff`.
 * DIRECTORY and SIZE_MIB from the environment; the files should fit in memory, or neither number says much.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contentDiff } from '../core/extents/content-diff.ts'
import { seekExtents } from '../native/index.ts'

const MIB = 1024 * 1024
const ROUNDS = 8

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

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}

async function measure(name: string, files: readonly [string, string], sizeMib: number, before: () => void) {
  const [diff, cmp]: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round++) {
    // In turn, so that neither always comes after the other.
    for (const first of [round % 2 === 0, round % 2 !== 0]) {
      before()
      if (first) cmp.push(secondsOfCmp(...files))
      else diff.push(await secondsOfDiff(...files))
    }
  }
  const speeds = [median(diff), median(cmp)].map((seconds) => sizeMib / seconds)
  console.log(
    `${name}: content diff ${speeds[0]!.toFixed(0)} MiB/s, cmp ${speeds[1]!.toFixed(0)} MiB/s, ratio ${(speeds[0]! / speeds[1]!).toFixed(2)} (medians of ${ROUNDS})`,
  )
}

const { DIRECTORY = tmpdir(), SIZE_MIB = '2048' } = process.env
const sizeMib = Number(SIZE_MIB)
const folder = await mkdtemp(join(DIRECTORY, 'diskferry-bench-'))
try {
  const files = await writeFiles(folder, sizeMib)
  await measure('from the page cache', files, sizeMib, () => undefined)
  if (process.getuid?.() === 0) await measure('from the disk', files, sizeMib, dropCaches)
} finally {
  await rm(folder, { recursive: true })
}
