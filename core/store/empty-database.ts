import Keyv from 'keyv'
import type { OpenedDatabase } from './database.ts'

/** A database that holds nothing and is nowhere, for looking at files when the real one is lost. */
export function emptyDatabase(file: string): OpenedDatabase {
  return {
    file,
    keyv: (namespace) => new Keyv({ namespace, throwOnErrors: true }),
    close: async () => undefined,
  }
}
