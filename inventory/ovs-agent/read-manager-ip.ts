import { isIP } from 'node:net'
import { join } from 'node:path'
import { DiskferryError } from '../../core/errors.ts'
import { readBerkeleyDbHash } from './berkeley-db-hash.ts'
import { unpickleString } from './pickle.ts'

/** RFC 1123: labels of letters, digits and inner dashes. */
const HOST_NAME = /^(?=.{1,253}$)[a-z\d]([a-z\d-]{0,61}[a-z\d])?(\.[a-z\d]([a-z\d-]{0,61}[a-z\d])?)*$/i

/**
 * The address of the OVM manager that owns this server: `manager_ip` in `server` of the agent's database folder.
 * An IPv4 or IPv6 address, without brackets, or a host name.
 * @throws INVENTORY_UNREADABLE, BERKELEY_DB_INVALID, PICKLE_INVALID; the signal's reason
 */
export async function readManagerIp(agentDbDir: string, signal?: AbortSignal): Promise<string> {
  const path = join(agentDbDir, 'server')
  const entries = await readBerkeleyDbHash(path, signal)
  const entry = entries.find(({ key }) => key.toString('latin1') === 'manager_ip')
  if (entry === undefined) {
    throw new DiskferryError(
      'INVENTORY_UNREADABLE',
      `${path} has no manager_ip, so this server has no OVM manager; set ovm_endpoint in the configuration`,
    )
  }
  const address = unpickleString(entry.value, `manager_ip in ${path}`)
  // A zone (`fe80::1%eth0`) has no place in a URL.
  const isAddress = isIP(address) !== 0 && !address.includes('%')
  const looksLikeAddress = /^[\d.]+$/.test(address)
  if (isAddress || (!looksLikeAddress && HOST_NAME.test(address))) return address
  throw new DiskferryError(
    'INVENTORY_UNREADABLE',
    `manager_ip in ${path} is ${JSON.stringify(address.slice(0, 64))}, which is neither an IP address nor a host name; ` +
      'set ovm_endpoint in the configuration',
  )
}
