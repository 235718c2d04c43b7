import { DiskferryError } from '../../core/errors.ts'
import { checksumOf } from './berkeley-db-hash-function.ts'

/** Page types, db_page.h. */
export const PAGE_TYPE = {
  invalid: 0,
  /** P_HASH_UNSORTED: written before 4.6. */
  hashUnsorted: 2,
  overflow: 7,
  hashMeta: 8,
  /** P_HASH: items sorted by key, since 4.6. */
  hash: 13,
} as const

/** Offsets in bytes, PAGE (`struct _db_page`) in db_page.h. */
export const PAGE_OFFSET = {
  number: 8,
  previous: 12,
  next: 16,
  entries: 20,
  highFree: 22,
  type: 25,
} as const

/** SIZEOF_PAGE in db_page.h: the header before the index, in bytes. */
export const PAGE_HEADER_SIZE = 26

/** PG_CHKSUM in db_page.h follows the header of a checksummed page: 2 unused bytes and the checksum. */
const CHECKSUM_OFFSET = 28
const CHECKSUMMED_HEADER_SIZE = 32

/** The error of a file that can't be read as a Berkeley DB hash file, or not with certainty. */
export function invalidBerkeleyDb(name: string, what: string): DiskferryError {
  return new DiskferryError(
    'BERKELEY_DB_INVALID',
    `${name} can't be read as a Berkeley DB hash file: ${what}`,
  )
}

/** The header of a page. */
export interface DbPage {
  readonly number: number
  /** Where the page starts in the file, in bytes. */
  readonly start: number
  readonly previous: number
  readonly next: number
  /** Number of items; on overflow pages a reference count. */
  readonly entries: number
  /** Lowest offset of an item in the page; on overflow pages the number of bytes stored. */
  readonly highFree: number
  readonly type: number
}

export interface DbPagesLayout {
  readonly littleEndian: boolean
  /** Bytes, a power of two from 512 to 65536. */
  readonly pageSize: number
  /** Number of the last page. */
  readonly lastPage: number
  readonly checksummed: boolean
}

/** The pages of a Berkeley DB file. Each may be taken once: in a sound hash file nothing is shared. */
export class DbPages {
  readonly name: string
  readonly pageSize: number
  /** Bytes before a page's index or data. */
  readonly overhead: number
  readonly #bytes: Buffer
  readonly #view: DataView
  readonly #layout: DbPagesLayout
  readonly #taken = new Set<number>([0])

  constructor(bytes: Buffer, name: string, layout: DbPagesLayout) {
    this.name = name
    this.pageSize = layout.pageSize
    this.overhead = layout.checksummed ? CHECKSUMMED_HEADER_SIZE : PAGE_HEADER_SIZE
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#layout = layout
  }

  u16(offset: number): number {
    return this.#view.getUint16(offset, this.#layout.littleEndian)
  }

  u32(offset: number): number {
    return this.#view.getUint32(offset, this.#layout.littleEndian)
  }

  /** A copy, so that one small value doesn't keep the whole file in memory. */
  copy(start: number, end: number): Buffer {
    return Buffer.from(this.#bytes.subarray(start, end))
  }

  /**
   * @param referrer what points at the page, for the error: `bucket 3`
   * @returns undefined for a page that was allocated and never written: it is all zeros
   * @throws BERKELEY_DB_INVALID
   */
  take(number: number, referrer: string): DbPage | undefined {
    const { lastPage, checksummed } = this.#layout
    if (number < 1 || number > lastPage) {
      throw this.invalid(`${referrer} points at page ${number}, but the last page is ${lastPage}`)
    }
    if (this.#taken.has(number))
      throw this.invalid(`${referrer} points at page ${number}, which is in use elsewhere`)
    this.#taken.add(number)
    const start = number * this.pageSize
    if (this.#isZero(start)) return undefined
    if (checksummed) this.#checkSum(number, start)
    const page: DbPage = {
      number: this.u32(start + PAGE_OFFSET.number),
      start,
      previous: this.u32(start + PAGE_OFFSET.previous),
      next: this.u32(start + PAGE_OFFSET.next),
      entries: this.u16(start + PAGE_OFFSET.entries),
      highFree: this.u16(start + PAGE_OFFSET.highFree),
      type: this.byte(start + PAGE_OFFSET.type),
    }
    if (page.number !== number) throw this.invalid(`page ${number} calls itself page ${page.number}`)
    return page
  }

  byte(offset: number): number {
    return this.#bytes[offset]!
  }

  invalid(what: string): DiskferryError {
    return invalidBerkeleyDb(this.name, what)
  }

  #isZero(start: number): boolean {
    return this.#bytes.subarray(start, start + this.pageSize).every((byte) => byte === 0)
  }

  #checkSum(number: number, start: number): void {
    const stored = this.u32(start + CHECKSUM_OFFSET)
    const page = this.#bytes.subarray(start, start + this.pageSize)
    if (checksumOf(page, CHECKSUM_OFFSET) !== stored)
      throw this.invalid(`the checksum of page ${number} is wrong`)
  }
}
