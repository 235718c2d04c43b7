import { KeyvPinStore } from '../api/auth/keyv-pin-store.ts'
import { loadConfig } from '../config/load-config.ts'
import { MANAGER_PINS_NAMESPACE, openDatabase } from '../core/store/database.ts'

/**
 * Forgets the certificates that OVM managers showed, so that the next good login trusts the one it is shown.
 *
 * @throws CONFIG_INVALID, STORE_FAILED
 */
export async function forgetManager(
  configFile: string,
  out: { write(text: string): unknown },
): Promise<void> {
  const { config } = await loadConfig(configFile)
  const database = await openDatabase(config.dbFile, () => undefined)
  try {
    await new KeyvPinStore(database.keyv(MANAGER_PINS_NAMESPACE)).forgetAll()
  } finally {
    await database.close()
  }
  out.write('The pinned certificate is forgotten; the next good login trusts the one that it is shown.\n')
}
