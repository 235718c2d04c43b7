import type { Stats } from 'node:fs'
import type { Mount } from '../storage-backend.ts'
import type { DiskRecord } from './snapshot-record.ts'

/** mount.cifs(8): the client makes up inode numbers, others at each mount. */
const MADE_UP_INODES = 'noserverino'

/** The inode to record of a clone; undefined where the number would not last. */
export function lastingInode({ ino }: Stats, { options }: Mount): number | undefined {
  return Number.isSafeInteger(ino) && ino > 0 && !options.includes(MADE_UP_INODES) ? ino : undefined
}

/** In what a file is not the clone that was recorded, as the end of a sentence; undefined when it is. */
export function differenceFromRecord({ size, inode }: DiskRecord, found: Stats): string | undefined {
  if (!found.isFile()) return 'is not a regular file'
  if (found.size !== size) return `has ${found.size} bytes where ${size} were recorded`
  if (inode !== undefined && found.ino !== inode) {
    return `was replaced: it has inode ${found.ino} where ${inode} was recorded`
  }
  return undefined
}
