import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, mkdir, rename, stat, truncate, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  answer,
  type BrokenBackend,
  cloneInPlace,
  cloneInTwoSteps,
  copyBytes,
  copyInBackground,
  extentAt,
  FULL_MAP,
  ISLANDS,
  SHARES,
  storedMaps,
  withClone,
  withExtents,
  withoutAddresses,
  withRanges,
} from './break-backend.ts'
import { altered } from './support.ts'

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
    says: /a change of 4096 bytes in 8388608 was reported as 8388608 bytes/,
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
    says: /2 of 1638400 bytes settled, after 3/,
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
