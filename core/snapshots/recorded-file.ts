import type { HeldPath } from '../held-path.ts'
import type { Mount } from '../storage-backend.ts'
import type { DiskRecord } from './snapshot-record.ts'

/** mount.cifs(8): the client makes up inode numbers, others at each mount. */
const MADE_UP_INODES = 'noserverino'

/**
 * Here a birth time is what the server makes of it, and servers make it of other times where they keep none. Samba 4
 * gives whole seconds; the NFS client of Linux 6.1 gives none.
 */
const BIRTH_TIMES_OF_SERVERS: ReadonlySet<string> = new Set(['cifs', 'smb3', 'nfs', 'nfs4'])

/** 2^63 nanoseconds end in the year 2262; 19 digits fit a Date. */
const BIRTH_TIME = /^[1-9]\d{0,18}$/

export type Identity = Pick<DiskRecord, 'inode' | 'birthTimeNs'>
type FoundFile = Pick<HeldPath, 'stats' | 'birthTimeNs'>

/** What to record of a clone, to know it again: as much of it as lasts on this mount. */
export function lastingIdentity(
  { stats: { ino }, birthTimeNs }: FoundFile,
  { filesystem, options }: Mount,
): Identity {
  const lasts = Number.isSafeInteger(ino) && ino > 0 && !options.includes(MADE_UP_INODES)
  const born = BIRTH_TIMES_OF_SERVERS.has(filesystem) ? undefined : birthTimeNs
  return { ...(lasts && { inode: ino }), ...(born !== undefined && { birthTimeNs: String(born) }) }
}

export function isBirthTime(value: unknown): value is string {
  return typeof value === 'string' && BIRTH_TIME.test(value)
}

/** In what a file is not the clone that was recorded, as the end of a sentence; undefined when it is. */
export function differenceFromRecord(
  { size, inode, birthTimeNs }: DiskRecord,
  { stats, birthTimeNs: born }: FoundFile,
): string | undefined {
  if (!stats.isFile()) return 'is not a regular file'
  if (stats.size !== size) return `has ${stats.size} bytes where ${size} were recorded`
  if (inode !== undefined && stats.ino !== inode) {
    return `was replaced: it has inode ${stats.ino} where ${inode} was recorded`
  }
  // An older kernel may not tell what a newer one has recorded.
  if (birthTimeNs !== undefined && born !== undefined && BigInt(birthTimeNs) !== born) {
    return `was replaced: it came into being at ${instant(born)} where ${instant(BigInt(birthTimeNs))} was recorded`
  }
  return undefined
}

/** ISO 8601 with nanoseconds. */
function instant(ns: bigint): string {
  const seconds = new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19)
  return `${seconds}.${String(ns % 1_000_000_000n).padStart(9, '0')}Z`
}
