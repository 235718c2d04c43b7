import { bucketOf, bucketToPage } from './berkeley-db-hash-function.ts'
import { readItems } from './berkeley-db-item.ts'
import { type HashMeta, parseHashMeta } from './berkeley-db-meta.ts'
import { DbPages, PAGE_TYPE } from './berkeley-db-page.ts'
import { readSettledFile } from './settled-file.ts'

/** Bytes. An agent's database has some ten KiB; what is much larger is something else. */
const MAX_FILE_SIZE = 64 * 1024 * 1024

export interface DbEntry {
  readonly key: Buffer
  readonly value: Buffer
}

/**
 * The entries of a Berkeley DB hash file, in the order of its buckets. Its owner may be writing to it: a file
 * that changes while it is read, or contradicts itself, is read again a few times.
 * @throws BERKELEY_DB_INVALID; INVENTORY_UNREADABLE when the system doesn't let it be read; the signal's reason
 */
export async function readBerkeleyDbHash(path: string, signal?: AbortSignal): Promise<DbEntry[]> {
  return readSettledFile(
    path,
    { maxBytes: MAX_FILE_SIZE, refusedCode: 'BERKELEY_DB_INVALID', parse: parseBerkeleyDbHash },
    signal,
  )
}

/**
 * Reads hash versions 8 and 9 (Berkeley DB 4.x and 5.x) in either byte order. Time and memory are linear in the
 * size of `bytes`, whatever they hold.
 * @param name for errors
 * @throws BERKELEY_DB_INVALID for anything else, and for a file that contradicts itself
 */
export function parseBerkeleyDbHash(bytes: Buffer, name: string): DbEntry[] {
  const meta = parseHashMeta(bytes, name)
  const pages = new DbPages(bytes, name, meta)
  const entries: DbEntry[] = []
  const seen = new Set<string>()
  for (let bucket = 0; bucket <= meta.maxBucket; bucket += 1) {
    for (const entry of readBucket(pages, meta, bucket)) {
      const identity = entry.key.toString('latin1')
      if (seen.has(identity))
        throw pages.invalid(`the key ${JSON.stringify(identity.slice(0, 64))} is there twice`)
      seen.add(identity)
      entries.push(entry)
    }
  }
  return entries
}

/** A bucket is a chain of hash pages. Its first may be one that nothing was ever written to. */
function* readBucket(pages: DbPages, meta: HashMeta, bucket: number): Generator<DbEntry> {
  let previous = 0
  let number = bucketToPage(bucket, meta.spares)
  do {
    const page = pages.take(number, `bucket ${bucket}`)
    if (page === undefined && previous === 0) return
    if (page?.type !== PAGE_TYPE.hash && page?.type !== PAGE_TYPE.hashUnsorted) {
      throw pages.invalid(`page ${number} of bucket ${bucket} is no hash page`)
    }
    if (page.previous !== previous)
      throw pages.invalid(`hash page ${number} does not follow page ${previous}`)
    const items = readItems(pages, page)
    for (let index = 0; index < items.length; index += 2) {
      const key = items[index]!
      if (meta.defaultHash && bucketOf(key, meta.maxBucket) !== bucket) {
        throw pages.invalid(`a key on page ${number} belongs to another bucket than ${bucket}`)
      }
      yield { key, value: items[index + 1]! }
    }
    previous = number
    number = page.next
  } while (number !== 0)
}
