import { stat } from 'node:fs/promises'
import { KeyvSqlite } from '@keyv/sqlite'
import { systemCode } from '../errors.ts'

/** How long a statement waits for another process that writes; milliseconds. */
const BUSY_TIMEOUT_MS = 10_000
const TABLE = 'diskferry'
const ROWS_AT_ONCE = 50

/** The file is damaged: no waiting, no space and no permission makes it readable again. */
export class BrokenDatabase extends Error {}

/** https://www.sqlite.org/rescode.html */
const BROKEN_CODES = new Set(['SQLITE_CORRUPT', 'SQLITE_NOTADB'])

/**
 * Opens a database and reads all of it once, so that a file that was cut or overwritten is found now. Later it answers as
 * long as the file has its name.
 *
 * @param onError told of errors that happen outside any call
 * @throws BrokenDatabase, or the error of opening and reading
 */
export async function openSoundStore(file: string, onError: (error: unknown) => void): Promise<KeyvSqlite> {
  const store = new KeyvSqlite({ uri: `sqlite://${file}`, table: TABLE, busyTimeout: BUSY_TIMEOUT_MS })
  let opened = false
  // While it is being opened the error comes from the call too.
  store.on('error', (error) => opened && onError(error))
  try {
    await check(store)
    await refuseOnceMoved(store, file)
    opened = true
    return store
  } catch (error) {
    await store.disconnect().catch(() => undefined)
    const { code, message } = error as { code?: unknown; message?: unknown }
    if (typeof code !== 'string' || !BROKEN_CODES.has(code)) throw error
    throw new BrokenDatabase(String(message), { cause: error })
  }
}

/**
 * SQLite itself refuses to write to a file that has lost its name (SQLITE_READONLY_DBMOVED), but reads on: snapshots that
 * another server has put into the file that is there now would be missing. And what it takes for the journal of its own
 * file, and would undo and delete, is that of the other.
 */
async function refuseOnceMoved(store: KeyvSqlite, file: string): Promise<void> {
  const opened = await stat(file, { bigint: true })
  const { query } = store
  store.query = async (...statement) => {
    const now = await statIfThere(file)
    if (now?.ino !== opened.ino || now.dev !== opened.dev)
      throw new Error(
        `'${file}' was deleted, moved or replaced after it was opened: restart every server that uses it`,
      )
    return await query(...statement)
  }
}

async function statIfThere(file: string) {
  try {
    return await stat(file, { bigint: true })
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

async function check(store: KeyvSqlite): Promise<void> {
  const [result] = (await store.query('PRAGMA quick_check(1)')) as { quick_check?: string }[]
  if (result?.quick_check !== 'ok') throw new BrokenDatabase(result?.quick_check ?? 'no answer')
  // quick_check looks at the structure; what was written into the middle of a value it does not see.
  for (let last: unknown = ''; ; ) {
    const query = `SELECT key, value FROM ${TABLE} WHERE key > ? ORDER BY key LIMIT ${ROWS_AT_ONCE}`
    const rows = (await store.query(query, last)) as { key: unknown; value: unknown }[]
    for (const { key, value } of rows) {
      if (!isJson(value)) throw new BrokenDatabase(`the value of ${JSON.stringify(key)} is not JSON`)
    }
    if (rows.length < ROWS_AT_ONCE) return
    last = rows.at(-1)!.key
  }
}

function isJson(value: unknown): boolean {
  try {
    JSON.parse(String(value))
    return true
  } catch {
    return false
  }
}
