import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyvSqlite } from '@keyv/sqlite'
import Keyv from 'keyv'
import { DiskferryError, describe, systemCode } from '../errors.ts'
import type { FileLocks } from '../file-lock.ts'
import type { Log } from '../log.ts'
import { ensureFolder } from '../repositories/ensure-folder.ts'
import { setAside } from './set-aside.ts'
import { BrokenDatabase, openSoundStore } from './sound-store.ts'

/** https://www.sqlite.org/fileformat.html, and bbolt's page.go: the magic follows the 16 bytes of a page header */
const SQLITE_HEADER = 'SQLite format 3\0'
const BOLT_MAGIC = 0xed0cdaed
const BOLT_MAGIC_OFFSET = 16

/** How long another server may take to open the same database. */
const PATIENCE_MS = 120_000

/**
 * Namespaces of the one database: VMs with their snapshots, what the rebuild has done, certificates of OVM managers, what
 * audits found out.
 */
export const VMS_NAMESPACE = 'vm'
export const INDEX_NAMESPACE = 'index'
export const MANAGER_PINS_NAMESPACE = 'manager-pin'
export const AUDITS_NAMESPACE = 'audit'

export interface OpenedDatabase {
  /** The file that is used: `dbFile`, or one beside it where that belongs to the ancestor. */
  readonly file: string
  /** A namespace of the database as a Keyv that throws its errors. */
  keyv<Value>(namespace: string): Keyv<Value>
  close(): Promise<void>
}

/** Sets a broken database aside instead of refusing it. */
export interface DatabaseRepair {
  /** Two servers that start at once must not each set aside what the other has just made. */
  readonly locks: FileLocks
  readonly log: Log
}

/**
 * Opens the SQLite database, creating the file when it is absent. Where `db_file` names the database of the Coriolis
 * OVM exporter (a Bolt file), that one is left as it is, so that the exporter can still be gone back to, and
 * `<db_file>.diskferry` is used.
 *
 * @param onError told of errors that happen outside any call
 * @param repair without it a broken database is refused
 * @throws STORE_FAILED
 */
export async function openDatabase(
  dbFile: string,
  onError: (error: unknown) => void,
  repair?: DatabaseRepair,
): Promise<OpenedDatabase> {
  const { file } = await databaseFileOf(dbFile)
  const store = await openStore(file, onError, repair)
  return {
    file,
    // Keyv writes its namespace into the adapter, and iterates and clears by what stands there: each needs its own.
    keyv: (namespace) =>
      new Keyv({ store: Object.create(store) as KeyvSqlite, namespace, throwOnErrors: true }),
    close: () => store.disconnect(),
  }
}

/** What is in the place of `db_file`, and which file that is. @throws STORE_FAILED */
export async function databaseFileOf(
  dbFile: string,
): Promise<{ readonly file: string; readonly isThere: boolean }> {
  const file = (await kindOf(dbFile)) === 'bolt' ? `${dbFile}.diskferry` : dbFile
  return { file, isThere: (await kindOf(file)) !== 'absent' }
}

/** Where the locks of a database lie. */
export function locksFolder(file: string): string {
  return `${file}.locks`
}

async function openStore(
  file: string,
  onError: (error: unknown) => void,
  repair: DatabaseRepair | undefined,
): Promise<KeyvSqlite> {
  try {
    if (repair === undefined) return await openKnown(file, onError)
    await ensureFolder(locksFolder(file), 0o700)
    const patience = AbortSignal.timeout(PATIENCE_MS)
    await using _alone = await repair.locks.acquire(join(locksFolder(file), 'open.lock'), patience)
    try {
      return await openKnown(file, onError)
    } catch (error) {
      if (!(error instanceof BrokenDatabase)) throw error
      const aside = await setAside(file)
      repair.log.error(
        { db_file: file, set_aside: aside, reason: error.message },
        'the database is broken and was set aside; the index of snapshots is rebuilt from the snapshot.json files. Certificates of OVM managers that it remembered are forgotten: the next good login trusts the one that it is shown',
      )
      return await openKnown(file, onError)
    }
  } catch (error) {
    if (error instanceof DiskferryError) throw error
    const advice =
      error instanceof BrokenDatabase
        ? 'It is damaged, or belongs to another program. `diskferry serve` sets a damaged one aside and rebuilds it'
        : 'Check that its folder is there, its rights and the space on its filesystem'
    throw new DiskferryError(
      'STORE_FAILED',
      `the database '${file}' (db_file) can't be used: ${describe(error)}. ${advice}; the snapshots' own files are untouched`,
      { cause: error },
    )
  }
}

async function openKnown(file: string, onError: (error: unknown) => void): Promise<KeyvSqlite> {
  const kind = await kindOf(file)
  if (kind !== 'sqlite' && kind !== 'absent') throw new BrokenDatabase('it is not an SQLite database')
  return openSoundStore(file, onError)
}

async function kindOf(file: string): Promise<'absent' | 'sqlite' | 'bolt' | 'other'> {
  const head = Buffer.alloc(32)
  try {
    await using handle = await open(file, 'r')
    const { bytesRead } = await handle.read(head, 0, head.length, 0)
    if (bytesRead === 0) return 'absent'
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 'absent'
    throw new DiskferryError(
      'STORE_FAILED',
      `the database '${file}' (db_file) can't be read: ${describe(error)}`,
      {
        cause: error,
      },
    )
  }
  if (head.toString('latin1', 0, SQLITE_HEADER.length) === SQLITE_HEADER) return 'sqlite'
  const magic = head.readUInt32LE(BOLT_MAGIC_OFFSET)
  return magic === BOLT_MAGIC || head.readUInt32BE(BOLT_MAGIC_OFFSET) === BOLT_MAGIC ? 'bolt' : 'other'
}
