import { command } from '../../support/command.ts'
import { python } from './python.ts'

/** In hexadecimal, as db5.3_dump prints it. */
export type HexEntry = readonly [key: string, value: string]

export interface MadeDatabase {
  readonly path: string
  readonly put: readonly HexEntry[]
  readonly remove?: readonly string[]
  /** Bytes. */
  readonly pageSize?: number
  readonly byteOrder?: 'little' | 'big'
  readonly checksums?: boolean
}

const MAKE = `
from bsddb3 import db
b = db.DB()
if request.get('checksums'): b.set_flags(db.DB_CHKSUM)
if 'pageSize' in request: b.set_pagesize(request['pageSize'])
b.set_lorder(4321 if request.get('byteOrder') == 'big' else 1234)
b.open(request['path'], None, db.DB_HASH, db.DB_CREATE)
for key, value in request['put']: b.put(bytes.fromhex(key), bytes.fromhex(value))
for key in request.get('remove', []): b.delete(bytes.fromhex(key))
b.close()
`

/** Lets the library itself write a hash file, or change one. */
export async function makeDatabase(request: MadeDatabase): Promise<void> {
  await python(MAKE, request)
}

/** What the library finds in a file, sorted by key. */
export async function dumpDatabase(path: string): Promise<readonly HexEntry[]> {
  const lines = (await command('db5.3_dump', [path])).split('\n')
  const items = lines
    .slice(lines.indexOf('HEADER=END') + 1, lines.indexOf('DATA=END'))
    .map((line) => line.trim())
  const entries: HexEntry[] = []
  for (let index = 0; index < items.length; index += 2) entries.push([items[index]!, items[index + 1]!])
  return sortEntries(entries)
}

export function sortEntries(entries: Iterable<HexEntry>): readonly HexEntry[] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1))
}

export function hex(text: string): string {
  return Buffer.from(text).toString('hex')
}
