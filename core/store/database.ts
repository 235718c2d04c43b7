import { open } from 'node:fs/promises'
import { KeyvSqlite } from '@keyv/sqlite'
import Keyv from 'keyv'
import { DiskferryError, describe, systemCode } from '../errors.ts'

/** How long a statement waits for another process that writes; milliseconds. */
const BUSY_TIMEOUT_MS = 10_000

/** https://www.sqlite.org/fileformat.html, and bbolt's page.go: the magic follows the 16 bytes of a page header */
const SQLITE_HEADER = 'SQLite format 3\0'
const BOLT_MAGIC = 0xed0cdaed
const BOLT_MAGIC_OFFSET = 16

/** Namespaces of the one database: VMs with their snapshots, certificates of OVM managers, what audits found out. */
export const VMS_NAMESPACE = 'vm'
export const MANAGER_PINS_NAMESPACE = 'manager-pin'
export const AUDITS_NAMESPACE = 'audit'

export interface OpenedDatabase {
  /** The file that is used: `dbFile`, or one beside it where that belongs to the ancestor. */
  readonly file: string
  /** A namespace of the database as a Keyv that throws its errors. */
  keyv<Value>(namespace: string): Keyv<Value>
  close(): Promise<void>
}

/**
 * Opens the SQLite database, creating the file when it is absent. Where `db_file` names the database of the Coriolis
 * OVM exporter (a Bolt file), that one is left as it is, so that the exporter can still be gone back to, and
 * `<db_file>.diskferry` is used.
 *
 * @param onError told of errors that happen outside any call
 * @throws STORE_FAILED
 */
export async function openDatabase(
  dbFile: string,
  onError: (error: unknown) => void,
): Promise<OpenedDatabase> {
  const kind = await kindOf(dbFile)
  const file = kind === 'bolt' ? `${dbFile}.diskferry` : dbFile
  const fileKind = kind === 'bolt' ? await kindOf(file) : kind
  if (fileKind !== 'sqlite' && fileKind !== 'absent') {
    throw new DiskferryError(
      'STORE_FAILED',
      `'${file}' (db_file) is not an SQLite database: it is broken, or it belongs to another program. Move it aside and start again; the snapshots' own files are untouched`,
    )
  }
  const store = new KeyvSqlite({ uri: `sqlite://${file}`, table: 'diskferry', busyTimeout: BUSY_TIMEOUT_MS })
  store.on('error', onError)
  try {
    // Opening is lazy: only a first query tells whether it works. quick_check finds a file that was cut or overwritten.
    const [result] = (await store.query('PRAGMA quick_check(1)')) as { quick_check?: string }[]
    if (result?.quick_check !== 'ok') throw new Error(result?.quick_check ?? 'no answer')
  } catch (error) {
    throw new DiskferryError(
      'STORE_FAILED',
      `the database '${file}' (db_file) can't be used: ${describe(error)}. When it is damaged, move it aside and start again; the snapshots' own files are untouched`,
      { cause: error },
    )
  }
  return {
    file,
    // Keyv writes its namespace into the adapter, and iterates and clears by what stands there: each needs its own.
    keyv: (namespace) =>
      new Keyv({ store: Object.create(store) as KeyvSqlite, namespace, throwOnErrors: true }),
    close: () => store.disconnect(),
  }
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
