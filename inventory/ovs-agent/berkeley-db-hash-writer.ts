import { createHash } from 'node:crypto'
import { DiskferryError } from '../../core/errors.ts'
import { bucketMasks, bucketOf, DEFAULT_CHARKEY_HASH } from './berkeley-db-hash-function.ts'
import { ITEM_TYPE, OFF_PAGE_SIZE } from './berkeley-db-item.ts'
import { HASH_MAGIC, META_OFFSET } from './berkeley-db-meta.ts'
import { PAGE_HEADER_SIZE, PAGE_OFFSET, PAGE_TYPE } from './berkeley-db-page.ts'

export interface BerkeleyDbWriteOptions {
  /** Bytes, a power of two from 512 to 65536. */
  readonly pageSize?: number
  readonly byteOrder?: 'little' | 'big'
}

/** As the library makes a new file: two buckets, which BS_TO_PAGE in hash.h places on pages 1 and 2. */
const MAX_BUCKET = 1
const SPARES = [1, 1]

/**
 * A Berkeley DB hash file, version 9, of a few entries: two buckets, chained pages, overflow pages for long
 * values. For the demo and for tests; an agent's own files are never written.
 * @param entries keys must differ and have at most a quarter of a page
 * @throws INTERNAL for a longer key
 */
export function writeBerkeleyDbHash(
  entries: Iterable<readonly [key: string, value: Uint8Array]>,
  options: BerkeleyDbWriteOptions = {},
): Buffer {
  const { pageSize = 4096, byteOrder = 'little' } = options
  const writer = new HashWriter(pageSize, byteOrder === 'little')
  const meta = writer.addPage(PAGE_TYPE.hashMeta)
  const buckets = [writer.addPage(PAGE_TYPE.hash), writer.addPage(PAGE_TYPE.hash)]
  const sorted = Array.from(entries, ([key, value]) => ({ key: Buffer.from(key), value }))
  sorted.sort((a, b) => compareKeys(a.key, b.key))
  for (const { key, value } of sorted) {
    // The library's order of pages with long keys contradicts itself (__ham_getindex_sorted in hash_page.c).
    if (key.length > pageSize / 4)
      throw new DiskferryError('INTERNAL', `a key of ${key.length} bytes is too long`)
    const bucket = bucketOf(key, MAX_BUCKET)
    buckets[bucket] = writer.addPair(buckets[bucket]!, [writer.item(key), writer.item(value)])
  }
  const masks = bucketMasks(MAX_BUCKET)
  writer.u32(meta.bytes, META_OFFSET.magic, HASH_MAGIC)
  writer.u32(meta.bytes, META_OFFSET.version, 9)
  writer.u32(meta.bytes, META_OFFSET.pageSize, pageSize)
  writer.u32(meta.bytes, META_OFFSET.lastPage, writer.pages.length - 1)
  writer.u32(meta.bytes, META_OFFSET.maxBucket, MAX_BUCKET)
  writer.u32(meta.bytes, META_OFFSET.highMask, masks.high)
  writer.u32(meta.bytes, META_OFFSET.lowMask, masks.low)
  writer.u32(meta.bytes, META_OFFSET.elements, sorted.length)
  writer.u32(meta.bytes, META_OFFSET.charKeyHash, DEFAULT_CHARKEY_HASH)
  for (const [index, spare] of SPARES.entries()) writer.u32(meta.bytes, META_OFFSET.spares + 4 * index, spare)
  // The library takes two files of one id for the same file.
  createHash('sha1').update(writer.bytes()).digest().copy(meta.bytes, META_OFFSET.uid)
  return writer.bytes()
}

/** The library searches a page of type P_HASH in this order: by bytes, and of a key and its prefix the longer first. */
function compareKeys(a: Buffer, b: Buffer): number {
  const common = Math.min(a.length, b.length)
  return Buffer.compare(a.subarray(0, common), b.subarray(0, common)) || b.length - a.length
}

interface WritablePage {
  readonly number: number
  readonly bytes: Buffer
  entries: number
  highFree: number
}

class HashWriter {
  readonly pages: WritablePage[] = []
  readonly #pageSize: number
  readonly #littleEndian: boolean

  constructor(pageSize: number, littleEndian: boolean) {
    this.#pageSize = pageSize
    this.#littleEndian = littleEndian
  }

  bytes(): Buffer {
    return Buffer.concat(this.pages.map((page) => page.bytes))
  }

  u32(bytes: Buffer, offset: number, value: number): void {
    if (this.#littleEndian) bytes.writeUInt32LE(value, offset)
    else bytes.writeUInt32BE(value, offset)
  }

  addPage(type: number, previous?: WritablePage): WritablePage {
    const page = { number: this.pages.length, bytes: Buffer.alloc(this.#pageSize), entries: 0, highFree: 0 }
    this.pages.push(page)
    this.u32(page.bytes, PAGE_OFFSET.number, page.number)
    page.bytes[PAGE_OFFSET.type] = type
    if (type === PAGE_TYPE.hash) this.#setItems(page, 0, this.#pageSize)
    if (previous !== undefined) {
      this.u32(page.bytes, PAGE_OFFSET.previous, previous.number)
      this.u32(previous.bytes, PAGE_OFFSET.next, page.number)
    }
    return page
  }

  /** The item that stands for `data` on a hash page. ISBIG in hash.h says what goes to overflow pages. */
  item(data: Uint8Array): Buffer {
    if (data.length <= this.#pageSize / 4) return Buffer.concat([Buffer.of(ITEM_TYPE.keyData), data])
    const reference = Buffer.alloc(OFF_PAGE_SIZE)
    reference[0] = ITEM_TYPE.offPage
    this.u32(reference, 4, this.pages.length)
    this.u32(reference, 8, data.length)
    const room = this.#pageSize - PAGE_HEADER_SIZE
    let page: WritablePage | undefined
    for (let start = 0; start < data.length; start += room) {
      const part = data.subarray(start, start + room)
      page = this.addPage(PAGE_TYPE.overflow, page)
      page.bytes.set(part, PAGE_HEADER_SIZE)
      this.#setItems(page, 1, part.length)
    }
    return reference
  }

  /** Puts a key and its value on a bucket's last page or on a new one after it. Returns the bucket's last page. */
  addPair(last: WritablePage, pair: readonly Buffer[]): WritablePage {
    const size = pair.reduce((sum, item) => sum + item.length + 2, 0)
    const fits = PAGE_HEADER_SIZE + 2 * last.entries + size <= last.highFree
    const page = fits ? last : this.addPage(PAGE_TYPE.hash, last)
    for (const item of pair) {
      const offset = page.highFree - item.length
      page.bytes.set(item, offset)
      this.#u16(page.bytes, PAGE_HEADER_SIZE + 2 * page.entries, offset)
      this.#setItems(page, page.entries + 1, offset)
    }
    return page
  }

  #u16(bytes: Buffer, offset: number, value: number): void {
    if (this.#littleEndian) bytes.writeUInt16LE(value, offset)
    else bytes.writeUInt16BE(value, offset)
  }

  #setItems(page: WritablePage, entries: number, highFree: number): void {
    page.entries = entries
    page.highFree = highFree
    this.#u16(page.bytes, PAGE_OFFSET.entries, entries)
    this.#u16(page.bytes, PAGE_OFFSET.highFree, highFree % 65536)
  }
}
