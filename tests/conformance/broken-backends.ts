import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, constants, existsSync, openSync } from 'node:fs'
import {
  copyFile,
  link,
  mkdir,
  open,
  readFile,
  rename,
  stat,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import {
  type ChangedRange,
  contentDiff,
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

const FULL_MAP = 'the extents of a full disk hold every byte, in order, and end with the disk'
const SHARES =
  'a clone shares the blocks of a full disk: it takes up no space, and its bytes are not written again'
const ISLANDS = 'islands of data between holes have extents'

export const BROKEN_MAPS: readonly BrokenBackend[] = [
  {
    what: 'leaves a gap in the map',
    breakIt: withExtents((extents) => extents.map((extent) => ({ ...extent, length: extent.length - 1 }))),
    fails: ISLANDS,
    says: /is empty|the map has a gap/,
  },
  {
    what: 'leaves out the last extent',
    breakIt: withExtents((extents) => extents.slice(0, -1)),
    fails: ISLANDS,
    says: /holds data, and no extent covers it: the map has a gap/,
  },
  {
    what: 'gives an extent twice',
    breakIt: withExtents((extents) => extents.flatMap((extent) => [extent, extent])),
    fails: FULL_MAP,
    says: /overlaps the one before/,
  },
  {
    what: 'gives the extents in another order',
    breakIt: withExtents((extents) => [...extents].reverse()),
    fails: ISLANDS,
    says: /not ascending/,
  },
  {
    what: 'does not cut the last extent to the disk',
    breakIt: withExtents((extents) =>
      extents.map((extent) => ({ ...extent, length: Math.ceil(extent.length / 4096) * 4096 })),
    ),
    fails: FULL_MAP,
    says: /ends beyond the end of the file/,
  },
  {
    what: 'lists space that lies behind the end',
    breakIt: withExtents((extents, size) => [...extents, extentAt(size + 4096)]),
    fails: 'an empty disk has no extents',
    says: /ends beyond the end of the file/,
  },
  {
    what: 'calls written data unwritten',
    breakIt: withExtents((extents) => extents.map((extent) => ({ ...extent, unwritten: true }))),
    fails: FULL_MAP,
    says: /is called unwritten/,
  },
  {
    what: 'gives physical addresses that are only the logical ones',
    breakIt: withExtents((extents) => extents.map((extent) => ({ ...extent, physicalStart: extent.start }))),
    fails: 'an address stands for the data: where two maps have the same one, the bytes are the same',
    says: /have the same address at 0, and other bytes there/,
  },
]

export const BROKEN_DIFFERENCES: readonly BrokenBackend[] = [
  {
    what: 'misses a change',
    breakIt: withRanges((ranges) => ranges.slice(0, -1)),
    fails: 'a difference tells an overwritten block',
    says: /a change was missed: byte 65536 holds other data now, and no range covers it/,
  },
  {
    what: 'misses the last byte of a change',
    breakIt: withRanges((ranges) => ranges.map((range) => ({ ...range, length: range.length - 1 }))),
    fails: 'a difference tells a single byte, at the start, inside and at the end',
    says: /a change was missed: byte 1049352 holds other data now/,
  },
  {
    what: 'misses holes',
    breakIt: withRanges((ranges) => ranges.filter(({ kind }) => kind === 'data')),
    fails: 'a difference tells a discarded range of whole blocks',
    says: /a change was missed: byte 131072 reads as zero now/,
  },
  {
    what: 'calls data zero',
    breakIt: withRanges((ranges) => ranges.map((range) => ({ ...range, kind: 'zero' }))),
    fails: 'a difference tells a write into a hole',
    says: /are called zero, but byte \d+ is \d+/,
  },
  {
    what: 'gives the ranges in another order',
    breakIt: withRanges((ranges) => [...ranges].reverse()),
    fails: 'a difference tells many small writes all over the disk',
    says: /not ascending/,
  },
  {
    what: 'reports the whole disk for any change',
    breakIt: (honest) =>
      altered(honest, {
        async diff(_base, target) {
          const { size } = await stat(target)
          return answer(size === 0 ? [] : [{ start: 0, length: size, kind: 'data' }])
        },
      }),
    fails: 'a small change is not told as the whole disk',
    says: /a change of 4096 bytes in 16777216 was reported as 16777216 bytes/,
  },
  {
    what: 'trusts maps that it stored by the name of the file when it was cloned',
    breakIt: (honest) => storedMaps(honest, async (file) => file),
    fails: 'a difference stays right when a snapshot file is replaced by another of the same name',
    says: /a change was missed/,
  },
  {
    what: 'trusts maps that it stored by the inode when it was cloned',
    breakIt: (honest) => storedMaps(honest, async (file) => (await stat(file)).ino.toString()),
    fails:
      'a difference stays right when the base is moved by deduplication and its old blocks are given to other data',
    says: /a change was missed/,
  },
  {
    what: 'trusts maps that it stored, and blocks were given to other data since',
    breakIt: (honest) => storedMaps(honest, async (file) => file),
    fails:
      'a difference stays right when the base is moved by a copy and its old blocks are given to other data',
    says: /a change was missed/,
  },
  {
    what: 'counts progress backwards',
    breakIt: (honest) =>
      altered(honest, {
        async diff(base, target, options, signal) {
          for (const settled of [3, 2]) options.onProgress?.(settled)
          return honest.diff(base, target, {}, signal)
        },
      }),
    fails: 'progress goes up to the size of the disk and never back',
    says: /2 of 4194304 bytes settled, after 3/,
  },
]

export const BROKEN_CLONES: readonly BrokenBackend[] = [
  {
    what: 'copies the bytes',
    breakIt: withClone(copyBytes),
    fails: SHARES,
    says: /filefrag shows byte 0 of the clone at another place/,
  },
  {
    what: 'copies the bytes, and gives no addresses that would tell',
    breakIt: (honest) => withoutAddresses(withClone(copyBytes)(honest)),
    fails: SHARES,
    says: /made this process write \d+ bytes: it was copied/,
  },
  {
    what: 'lets a program in the background copy the bytes, and gives no addresses that would tell',
    breakIt: (honest) => withoutAddresses(withClone(copyInBackground)(honest)),
    fails: SHARES,
    says: /took [-\d, ]+ bytes of free space: it was copied/,
  },
  {
    what: 'copies where it can not clone',
    breakIt: withClone((source, target) => copyFile(source, target, constants.COPYFILE_EXCL)),
    fails: 'a clone to or from another filesystem fails, and nothing is left in either folder',
    says: /was made: bytes must have been copied/,
  },
  {
    what: 'shows the target before it is whole',
    breakIt: withClone(cloneInPlace),
    fails: 'a reader sees the target whole or not at all, never a part of it',
    says: /it was seen with \d+ of \d+ bytes/,
  },
  {
    what: 'writes over an existing target',
    breakIt: withClone(async (source, target) => {
      const hidden = `${target}.${randomBytes(6).toString('hex')}`
      await cloneInPlace(source, hidden)
      await rename(hidden, target)
    }),
    fails: 'an existing target is refused with EEXIST and left as it was',
    says: /exists, and was cloned over|exists, but: /,
  },
  {
    what: 'lets two clones to one target both succeed',
    breakIt: withClone(async (source, target) => {
      const hidden = `${target}.${randomBytes(6).toString('hex')}`
      await cloneInPlace(source, hidden)
      await rename(hidden, target)
    }),
    fails: 'of eight clones to one target at once, one succeeds and the others find it there',
    says: /8 of 8 clones to one target succeeded/,
  },
  {
    what: 'gives the source a second name',
    breakIt: withClone(link),
    fails: 'writes to the source are not seen in the clone',
    says: /a byte was turned in the source, and the other one changed/,
  },
  {
    what: 'gives the source a second name, seen from the other side',
    breakIt: withClone(link),
    fails: 'writes to the clone are not seen in the source',
    says: /in the clone, and the other one changed/,
  },
  {
    what: 'clones in two steps',
    breakIt: withClone(cloneInTwoSteps),
    fails: 'a clone taken while the source is being written holds one instant of it',
    says: /mixes moments/,
  },
  {
    what: 'loses the end of the disk',
    breakIt: (honest) =>
      altered(honest, {
        async clone(source, target, signal) {
          await honest.clone(source, target, signal)
          const { size } = await stat(target)
          await truncate(target, Math.floor(size / 4096) * 4096)
        },
      }),
    fails: 'a clone holds every byte of its source, whatever the size',
    says: /a disk of 1 bytes/,
  },
  {
    what: 'leaves its working file when it fails',
    breakIt: withClone(async (source, target) => {
      await writeFile(`${target}.part`, '')
      await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE)
    }),
    fails: 'a missing source is an error, and nothing is left in the folder',
    says: /clone\.part/,
  },
  {
    what: 'makes missing folders',
    breakIt: (honest) =>
      altered(honest, {
        async clone(source, target, signal) {
          await mkdir(dirname(target), { recursive: true })
          await honest.clone(source, target, signal)
        },
      }),
    fails: 'a target in a missing folder is an error, and the folder is not made',
    says: /the folder of the target is missing/,
  },
]

export const BROKEN_CONDUCT: readonly BrokenBackend[] = [
  {
    what: 'leaks a descriptor when a map is left early',
    breakIt: (honest) =>
      altered(honest, {
        async *extentMap(file, signal) {
          const descriptor = openSync(file, 'r')
          yield* honest.extentMap(file, signal)
          closeSync(descriptor)
        },
      }),
    fails: 'a map or a difference that is left early closes what it opened',
    says: /after extentMap\(\), left after the first batch, 5 times, these are open: .*target/,
  },
  {
    what: 'leaks a descriptor with every difference',
    breakIt: (honest) =>
      altered(honest, {
        async diff(base, target, options, signal) {
          openSync(base, 'r')
          return honest.diff(base, target, options, signal)
        },
      }),
    fails: 'a difference tells an overwritten block',
    says: /4? ?descriptors were left open: .*base/,
  },
  {
    what: 'leaks a descriptor when a clone fails',
    breakIt: (honest) =>
      altered(honest, {
        async clone(source, target, signal) {
          const file = openSync(source, 'r')
          await honest.clone(source, target, signal)
          closeSync(file)
        },
      }),
    fails: 'an operation that fails closes what it opened',
    says: /after clone\(\) onto an existing target/,
  },
  {
    what: 'ignores aborts of a clone',
    breakIt: (honest) => altered(honest, { clone: (source, target) => honest.clone(source, target) }),
    fails: 'a clone that was aborted before it began fails, and leaves nothing',
    says: /made a clone all the same/,
  },
  {
    what: 'ignores aborts of a map',
    breakIt: (honest) => altered(honest, { extentMap: (file) => honest.extentMap(file) }),
    fails: 'a map ends with an error soon after it is aborted',
    says: /gave the whole map all the same/,
  },
  {
    what: 'looks at the signal of a map only at the start',
    breakIt: (honest) =>
      altered(honest, {
        async *extentMap(file, signal) {
          signal?.throwIfAborted()
          for await (const batch of honest.extentMap(file)) for (const extent of batch) yield [extent]
        },
      }),
    fails: 'a map ends with an error soon after it is aborted',
    says: /went on for \d+ batches after it was aborted/,
  },
  {
    what: 'looks at the signal of a difference only at the start',
    breakIt: (honest) =>
      altered(honest, {
        async diff(base, target, options, signal) {
          signal?.throwIfAborted()
          return honest.diff(base, target, options)
        },
      }),
    fails: 'a difference ends with an error soon after it is aborted',
    says: /aborted as soon as it was called, and gave the whole difference/,
  },
  {
    what: 'deletes the target of a clone that was aborted too late, but not its working file',
    breakIt: (honest) =>
      altered(honest, {
        async clone(source, target, signal) {
          signal?.throwIfAborted()
          await writeFile(`${target}.part`, '')
          await honest.clone(source, target, signal)
          await unlink(`${target}.part`)
        },
      }),
    fails: 'a clone that is aborted while it runs leaves the target whole or absent, and nothing else',
    says: /clone\.part/,
  },
  {
    what: 'takes a missing file for an empty one',
    breakIt: (honest) =>
      altered(honest, {
        async *extentMap(file, signal) {
          if (await stat(file).catch(() => undefined)) yield* honest.extentMap(file, signal)
        },
      }),
    fails: 'a missing file is an error, whichever operation meets it',
    says: /a map of a missing file was given/,
  },
  {
    what: 'remembers in one instance what another one needs',
    breakIt: (honest) => {
      const known = new Set<string>()
      return altered(honest, {
        async clone(source, target, signal) {
          await honest.clone(source, target, signal)
          known.add(target)
        },
        async diff(base, target, options, signal) {
          return known.has(base) ? honest.diff(base, target, options, signal) : answer([])
        },
      })
    },
    fails: 'another instance of the backend knows as much: nothing is held between calls',
    says: /a change was missed/,
  },
]

export const LYING_MANIFESTS: readonly BrokenBackend[] = [
  {
    what: 'declares addresses, but compares by content',
    breakIt: (honest) =>
      altered(honest, {
        diff: (base, target, options, signal) =>
          contentDiff({ base, target, extentMap: honest.extentMap.bind(honest) }, options, undefined, signal),
      }),
    fails: 'differences are found in the way that the manifest declares',
    says: /declares differences by physical, but two plain clones were compared by content/,
  },
  {
    what: 'declares content, but compares by address',
    breakIt: (honest) => altered(honest, { manifest: { ...honest.manifest, difference: 'content' } }),
    fails: 'differences are found in the way that the manifest declares',
    says: /declares differences by content, but two plain clones were compared by physical/,
  },
  {
    what: 'declares addresses, but gives none',
    breakIt: withExtents((extents) => extents.map((extent) => ({ ...extent, physicalStart: null }))),
    fails: 'differences are found in the way that the manifest declares',
    says: /declares differences by address, but the plain extent at 0 has none/,
  },
  {
    what: 'names another filesystem',
    breakIt: (honest) => altered(honest, { manifest: { ...honest.manifest, filesystems: ['ext4'] } }),
    fails: 'the manifest names the filesystem of the mount',
    says: /is xfs, and the manifest names ext4/,
  },
  {
    what: 'is written for another version of the contract',
    breakIt: (honest) => altered(honest, { manifest: { ...honest.manifest, apiVersion: 2 } }),
    fails: 'the manifest and the four operations have the shape that the contract asks for',
    says: /apiVersion is not that of the contract/,
  },
  {
    what: 'excuses a feature that the contract does not know',
    breakIt: (honest) => {
      const unsupported = { everything: 'it is hard' } as NonNullable<
        StorageBackend['manifest']['unsupported']
      >
      return altered(honest, { manifest: { ...honest.manifest, unsupported } })
    },
    fails: 'the manifest and the four operations have the shape that the contract asks for',
    says: /unsupported names "everything"/,
  },
  {
    what: 'finds every mount compatible',
    breakIt: (honest) =>
      altered(honest, { checkCompatibility: async () => ({ compatible: true, reasons: [] }) }),
    fails:
      'checkCompatibility() refuses a filesystem without reflinks, with reasons, and leaves nothing behind',
    says: /compatible, which makes no reflinks/,
  },
  {
    what: 'finds a good mount incompatible',
    breakIt: (honest) =>
      altered(honest, { checkCompatibility: async () => ({ compatible: false, reasons: ['a bad day'] }) }),
    fails: 'checkCompatibility() finds the mount compatible, and leaves nothing behind',
    says: /it says: a bad day/,
  },
  {
    what: 'leaves the trial files of its check',
    breakIt: (honest) =>
      altered(honest, {
        async checkCompatibility(target, signal) {
          await writeFile(`${target.trialDirectory}/trial`, '')
          return honest.checkCompatibility(target, signal)
        },
      }),
    fails: 'checkCompatibility() finds the mount compatible, and leaves nothing behind',
    says: /these trial files were left in the folder/,
  },
]

/** Wrong in everything that one operation does: between them they fail what no finer fault fails. */
export const WORTHLESS: readonly Pick<BrokenBackend, 'what' | 'breakIt'>[] = [
  { what: 'never tells a difference', breakIt: withRanges(() => []) },
  {
    what: 'calls every disk zero',
    breakIt: (honest) =>
      altered(honest, {
        async diff(_base, target) {
          const { size } = await stat(target)
          return answer(size === 0 ? [] : [{ start: 0, length: size, kind: 'zero' }])
        },
      }),
  },
  { what: 'has empty maps', breakIt: withExtents(() => []) },
  {
    what: 'makes empty clones',
    breakIt: withClone((_source, target) => writeFile(target, '', { flag: 'wx' })),
  },
  { what: 'never clones', breakIt: withClone(() => Promise.reject(new Error('not today'))) },
]

function withExtents(
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

function withRanges(
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

function withClone(clone: (source: string, target: string) => Promise<void>): BrokenBackend['breakIt'] {
  return (honest) => altered(honest, { clone })
}

function storedMaps(honest: StorageBackend, keyOf: (file: string) => Promise<string>): StorageBackend {
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
function cloneInPlace(source: string, target: string): Promise<void> {
  return copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE)
}

async function copyBytes(source: string, target: string): Promise<void> {
  await writeFile(target, await readFile(source), { flag: 'wx' })
}

function withoutAddresses(backend: StorageBackend): StorageBackend {
  return altered(backend, { manifest: { ...backend.manifest, difference: 'content' } })
}

/** By a process whose work the kernel does not count as ours. */
async function copyInBackground(source: string, target: string): Promise<void> {
  const script = 'cp --reflink=never "$0" "$1.part" && mv "$1.part" "$1" &'
  await promisify(execFile)('sh', ['-c', script, source, target])
  while (!existsSync(target)) await delay(5)
}

async function cloneInTwoSteps(source: string, target: string): Promise<void> {
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

function answer(ranges: readonly ChangedRange[]): DiffResult {
  async function* batches() {
    if (ranges.length > 0) yield ranges
  }
  return { method: 'physical', ranges: batches() }
}

function extentAt(start: number): Extent {
  return { start, length: 4096, physicalStart: 0, unwritten: false }
}

async function collect<Item>(batches: AsyncIterable<readonly Item[]>): Promise<readonly Item[]> {
  const items: Item[] = []
  for await (const batch of batches) items.push(...batch)
  return items
}
