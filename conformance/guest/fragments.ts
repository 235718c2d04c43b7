import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { setImmediate as breathe } from 'node:timers/promises'
import type { Region } from '../oracle/regions.ts'
import { content } from './content.ts'
import type { Disk } from './disk.ts'

const BLOCK = 4096
const STEP = 2 * BLOCK
const WRITES_AT_A_TIME = 1024

/**
 * Writes a block, leaves a hole of the same size, and so on: a disk with this many extents, and no two of them joined.
 * By synchronous calls, because a round through the thread pool costs more than the write.
 */
export async function writeEveryOtherBlock(
  path: string,
  extents: number,
  signal: AbortSignal,
): Promise<void> {
  const file = openSync(path, 'r+')
  try {
    for (let index = 0; index < extents; index++) {
      if (index % WRITES_AT_A_TIME === 0) {
        await breathe()
        signal.throwIfAborted()
      }
      writeSync(file, content(index * STEP, BLOCK, 1), 0, BLOCK, index * STEP)
    }
    ftruncateSync(file, extents * STEP)
  } finally {
    closeSync(file)
  }
}

/** What a filesystem with round trips writes in a few seconds. */
const WRITTEN_FIRST = 1024

/** The same, but only the first blocks are written: those behind share them, twice as many at each step. */
export async function shareEveryOtherBlock(disk: Disk, extents: number, signal: AbortSignal): Promise<void> {
  let done = Math.min(extents, WRITTEN_FIRST)
  await writeEveryOtherBlock(disk.path, done, signal)
  while (done < extents) {
    signal.throwIfAborted()
    const more = Math.min(done, extents - done)
    await disk.shareWithin(0, done * STEP, more * STEP)
    done += more
  }
}

/** Rewrites some of those blocks, by their numbers. @returns where */
export async function rewriteFragments(
  path: string,
  numbers: Iterable<number>,
  generation: number,
): Promise<readonly Region[]> {
  const written: Region[] = []
  const file = openSync(path, 'r+')
  try {
    for (const number of numbers) {
      writeSync(file, content(number * STEP, BLOCK, generation), 0, BLOCK, number * STEP)
      written.push({ start: number * STEP, length: BLOCK })
    }
  } finally {
    closeSync(file)
  }
  return written
}
