import { type DbPage, type DbPages, PAGE_TYPE } from './berkeley-db-page.ts'

/** Item types on hash pages, db_page.h. */
export const ITEM_TYPE = { keyData: 1, duplicate: 2, offPage: 3, offDuplicate: 4 } as const

/** HOFFPAGE in db_page.h: type, 3 unused bytes, `pgno` at 4, `tlen` at 8. Bytes. */
export const OFF_PAGE_SIZE = 12
const OFF_PAGE_NUMBER = 4
const OFF_PAGE_LENGTH = 8

/** The keys and values of a hash page, in turn. @throws BERKELEY_DB_INVALID */
export function readItems(pages: DbPages, page: DbPage): Buffer[] {
  const indexEnd = pages.overhead + 2 * page.entries
  if (page.entries % 2 !== 0) throw pages.invalid(`page ${page.number} has a key without a value`)
  if (indexEnd > pages.pageSize)
    throw pages.invalid(`page ${page.number} has an impossible ${page.entries} items`)
  const items: Buffer[] = []
  let end = pages.pageSize
  for (let index = 0; index < page.entries; index += 1) {
    const offset = pages.u16(page.start + pages.overhead + 2 * index)
    if (offset < indexEnd || offset >= end)
      throw pages.invalid(`item ${index} of page ${page.number} lies nowhere`)
    items.push(readItem(pages, page, page.start + offset, page.start + end))
    end = offset
  }
  // The offset of an empty page is its size, which does not fit the field when that is 65536.
  if (page.highFree !== end % 65536)
    throw pages.invalid(`the items of page ${page.number} do not end where it says`)
  return items
}

function readItem(pages: DbPages, page: DbPage, start: number, end: number): Buffer {
  const type = pages.byte(start)
  switch (type) {
    case ITEM_TYPE.keyData:
      return pages.copy(start + 1, end)
    case ITEM_TYPE.offPage:
      if (end - start !== OFF_PAGE_SIZE)
        throw pages.invalid(`a reference on page ${page.number} has ${end - start} bytes`)
      return readOverflow(pages, pages.u32(start + OFF_PAGE_NUMBER), pages.u32(start + OFF_PAGE_LENGTH))
    case ITEM_TYPE.duplicate:
    case ITEM_TYPE.offDuplicate:
      throw pages.invalid(`page ${page.number} has several values for one key, which is not supported`)
    default:
      throw pages.invalid(`page ${page.number} has an item of the unknown type ${type}`)
  }
}

/** A key or value that lies on a chain of overflow pages. */
function readOverflow(pages: DbPages, first: number, length: number): Buffer {
  const parts: Buffer[] = []
  let missing = length
  let previous = 0
  let number = first
  do {
    const page = pages.take(number, `the overflow chain from page ${first}`)
    if (page?.type !== PAGE_TYPE.overflow) throw pages.invalid(`page ${number} is no overflow page`)
    if (page.previous !== previous)
      throw pages.invalid(`overflow page ${number} does not follow page ${previous}`)
    if (page.highFree > pages.pageSize - pages.overhead || page.highFree > missing) {
      throw pages.invalid(`overflow page ${number} has an impossible length of ${page.highFree}`)
    }
    const start = page.start + pages.overhead
    parts.push(pages.copy(start, start + page.highFree))
    missing -= page.highFree
    previous = number
    number = page.next
  } while (number !== 0)
  if (missing !== 0)
    throw pages.invalid(`the overflow chain from page ${first} lacks ${missing} of ${length} bytes`)
  return Buffer.concat(parts)
}
