import { bucketMasks, checksumOf, DEFAULT_CHARKEY_HASH } from './berkeley-db-hash-function.ts'
import { type DbPagesLayout, invalidBerkeleyDb, PAGE_TYPE } from './berkeley-db-page.ts'

/** DBMETASIZE in db_page.h: no metadata page holds more, no page is smaller. Bytes. */
export const META_SIZE = 512
export const MAX_PAGE_SIZE = 65536

/** DB_HASHMAGIC in db.h. */
export const HASH_MAGIC = 0x061561

/** The magic numbers of the other access methods, db.h. */
const OTHER_MAGICS: ReadonlyMap<number, string> = new Map([
  [0x053162, 'a btree file'],
  [0x042253, 'a queue file'],
  [0x074582, 'a heap file'],
  [0x030800, 'a file that is being renamed or removed'],
])

/** BTM_RECNO and BTM_SUBDB in db_page.h. */
const BTREE_RECNO = 0x02
const BTREE_SUBDB = 0x20

/** DB_HASH_SUBDB and DBMETA_CHKSUM in db_page.h. */
const HASH_SUBDB = 0x02
const META_CHECKSUM = 0x01

/** DB_HASHVERSION: 8 in 4.0 to 4.5, 9 in 4.6 to 5.3. */
const OLDEST_VERSION = 8
const NEWEST_VERSION = 9

/** NCACHED in db_page.h. */
const SPARES = 32

/**
 * Offsets in bytes, DBMETA (`struct _dbmeta33`) and HMETA (`struct _hashmeta33`) in db_page.h. The comments there
 * place `chksum` at 496; by its declared sizes, and in files, it is at 492.
 */
export const META_OFFSET = {
  pageNumber: 8,
  magic: 12,
  version: 16,
  pageSize: 20,
  encryption: 24,
  type: 25,
  metaFlags: 26,
  lastPage: 32,
  partitions: 36,
  flags: 48,
  uid: 52,
  maxBucket: 72,
  highMask: 76,
  lowMask: 80,
  elements: 88,
  charKeyHash: 92,
  spares: 96,
  checksum: 492,
} as const

export interface HashMeta extends DbPagesLayout {
  /** Number of the highest bucket in use. */
  readonly maxBucket: number
  readonly spares: readonly number[]
  /** Keys are placed by the default hash function, so their place can be checked. */
  readonly defaultHash: boolean
}

/** Reads and checks the metadata page. @throws BERKELEY_DB_INVALID */
export function parseHashMeta(bytes: Buffer, name: string): HashMeta {
  const invalid = (what: string) => invalidBerkeleyDb(name, what)
  if (bytes.length < META_SIZE) {
    throw invalid(`it has ${bytes.length} bytes, fewer than the ${META_SIZE} of its first page`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const littleEndian = isLittleEndian(view, invalid)
  const u32 = (offset: number) => view.getUint32(offset, littleEndian)

  const version = u32(META_OFFSET.version)
  if (version < OLDEST_VERSION || version > NEWEST_VERSION) {
    throw invalid(
      `hash version ${version}; only ${OLDEST_VERSION} and ${NEWEST_VERSION} (Berkeley DB 4.x and 5.x) are read`,
    )
  }
  if (bytes[META_OFFSET.encryption] !== 0) throw invalid('it is encrypted')
  const checksummed = (bytes[META_OFFSET.metaFlags]! & META_CHECKSUM) !== 0
  if (
    checksummed &&
    checksumOf(bytes.subarray(0, META_SIZE), META_OFFSET.checksum) !== u32(META_OFFSET.checksum)
  ) {
    throw invalid('the checksum of its first page is wrong')
  }
  if (bytes[META_OFFSET.type] !== PAGE_TYPE.hashMeta || u32(META_OFFSET.pageNumber) !== 0) {
    throw invalid('its first page is no hash metadata page')
  }
  if ((u32(META_OFFSET.flags) & HASH_SUBDB) !== 0) throw invalid('it holds sub-databases')
  if (u32(META_OFFSET.partitions) !== 0) throw invalid('it is partitioned over several files')

  const pageSize = u32(META_OFFSET.pageSize)
  if (pageSize < META_SIZE || pageSize > MAX_PAGE_SIZE || (pageSize & (pageSize - 1)) !== 0) {
    throw invalid(`a page size of ${pageSize} is impossible`)
  }
  if (bytes.length % pageSize !== 0) {
    throw invalid(`its ${bytes.length} bytes are not a whole number of ${pageSize} byte pages`)
  }
  const lastPage = u32(META_OFFSET.lastPage)
  const pages = bytes.length / pageSize
  if (lastPage >= pages)
    throw invalid(`it is truncated: ${pages} pages, but the last should be number ${lastPage}`)

  const maxBucket = u32(META_OFFSET.maxBucket)
  const masks = bucketMasks(maxBucket)
  if (
    maxBucket >= lastPage ||
    u32(META_OFFSET.highMask) !== masks.high ||
    u32(META_OFFSET.lowMask) !== masks.low
  ) {
    throw invalid(`its bucket numbers (highest ${maxBucket}) contradict each other`)
  }
  return {
    littleEndian,
    pageSize,
    lastPage,
    checksummed,
    maxBucket,
    spares: Array.from({ length: SPARES }, (_, index) => u32(META_OFFSET.spares + 4 * index)),
    defaultHash: u32(META_OFFSET.charKeyHash) === DEFAULT_CHARKEY_HASH,
  }
}

function isLittleEndian(view: DataView, invalid: (what: string) => Error): boolean {
  for (const littleEndian of [true, false]) {
    const magic = view.getUint32(META_OFFSET.magic, littleEndian)
    if (magic === HASH_MAGIC) return littleEndian
    const other = OTHER_MAGICS.get(magic)
    if (other === undefined) {
      if (view.getUint32(0, littleEndian) === HASH_MAGIC)
        throw invalid('it is a hash file of Berkeley DB 1.85')
      continue
    }
    const flags = magic === 0x053162 ? view.getUint32(META_OFFSET.flags, littleEndian) : 0
    if ((flags & BTREE_SUBDB) !== 0) throw invalid('it holds sub-databases')
    throw invalid(`it is ${(flags & BTREE_RECNO) !== 0 ? 'a recno file' : other}`)
  }
  throw invalid('it has no magic number of Berkeley DB')
}
