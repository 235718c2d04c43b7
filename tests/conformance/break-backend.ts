import { execFile } from 'node:child_process'
import { constants, existsSync } from 'node:fs'
import { copyFile, open, readFile, stat, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import {
  type ChangedRange,
  type DiffResult,
  type Extent,
  type ExtentBatch,
  physicalDiff,
  type StorageBackend,
} from 'diskferry/core'
import { cloneRange } from 'diskferry/native'
import { altered } from './support.ts'

export interface BrokenBackend {
  /** What is wrong with it. */
  readonly what: string
  readonly breakIt: (honest: StorageBackend) => StorageBackend
  /** The check that must find it. */
  readonly fails: string
  /** What the failure must say. */
  readonly says: RegExp
}

export const FULL_MAP = 'the extents of a full disk hold every byte, in order, and end with the disk'
export const SHARES =
  'a clone shares the blocks of a full disk: it takes up no space, and its bytes are not written again'
export const ISLANDS = 'islands of data between holes have extents'

export function withExtents(
  change: (extents: readonly Extent[], size: number) => readonly Extent[],
): BrokenBackend['breakIt'] {
  return (honest) =>
    altered(honest, {
      async *extentMap(file, signal) {
        const { size } = await stat(file)
        yield change(await collect(honest.extentMap(file, signal)), size)
      },
    })
}

export function withRanges(
  change: (ranges: readonly ChangedRange[]) => readonly ChangedRange[],
): BrokenBackend['breakIt'] {
  return (honest) =>
    altered(honest, {
      async diff(base, target, options, signal) {
        const { ranges } = await honest.diff(base, target, options, signal)
        return answer(change(await collect(ranges)))
      },
    })
}

export function withClone(
  clone: (source: string, target: string) => Promise<void>,
): BrokenBackend['breakIt'] {
  return (honest) => altered(honest, { clone })
}

export function storedMaps(honest: StorageBackend, keyOf: (file: string) => Promise<string>): StorageBackend {
  const stored = new Map<string, readonly Extent[]>()
  async function* extentMap(file: string, signal?: AbortSignal): AsyncGenerator<ExtentBatch> {
    const key = await keyOf(file)
    const extents = stored.get(key) ?? (await collect(honest.extentMap(file, signal)))
    stored.set(key, extents)
    yield extents
  }
  return altered(honest, {
    async clone(source, target, signal) {
      await honest.clone(source, target, signal)
      stored.set(await keyOf(target), await collect(honest.extentMap(target, signal)))
    },
    diff: (base, target, options, signal) => physicalDiff({ base, target, extentMap }, options, signal),
  })
}

/** libuv makes the target first and clones into it then. */
export function cloneInPlace(source: string, target: string): Promise<void> {
  return copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE)
}

export async function copyBytes(source: string, target: string): Promise<void> {
  await writeFile(target, await readFile(source), { flag: 'wx' })
}

export function withoutAddresses(backend: StorageBackend): StorageBackend {
  return altered(backend, { manifest: { ...backend.manifest, difference: 'content' } })
}

/** By a process whose work the kernel does not count as ours. */
export async function copyInBackground(source: string, target: string): Promise<void> {
  const script = 'cp --reflink=never "$0" "$1.part" && mv "$1.part" "$1" &'
  await promisify(execFile)('sh', ['-c', script, source, target])
  while (!existsSync(target)) await delay(5)
}

export async function cloneInTwoSteps(source: string, target: string): Promise<void> {
  await using from = await open(source, 'r')
  await using to = await open(target, 'wx')
  const { size } = await from.stat()
  const half = Math.floor(size / 2 / 4096) * 4096
  const [here, there] = [
    { handle: from, path: source },
    { handle: to, path: target },
  ] as const
  await cloneRange(here, 0, there, 0, half)
  await delay(20)
  await cloneRange(here, half, there, half, size - half)
}

export function answer(ranges: readonly ChangedRange[]): DiffResult {
  async function* batches() {
    if (ranges.length > 0) yield ranges
  }
  return { method: 'physical', ranges: batches() }
}

export function extentAt(start: number): Extent {
  return { start, length: 4096, physicalStart: 0, unwritten: false }
}

export async function collect<Item>(batches: AsyncIterable<readonly Item[]>): Promise<readonly Item[]> {
  const items: Item[] = []
  for await (const batch of batches) items.push(...batch)
  return items
}
