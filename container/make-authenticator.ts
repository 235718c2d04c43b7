import { KeyvPinStore } from '../api/auth/keyv-pin-store.ts'
import { ManagerAuthenticator } from '../api/auth/manager-authenticator.ts'
import type { ManagerTrust } from '../api/auth/manager-trust.ts'
import { UsersAuthenticator } from '../api/auth/users-authenticator.ts'
import type { Config } from '../config/config.ts'
import type { Authenticator } from '../core/services.ts'
import { MANAGER_PINS_NAMESPACE, type OpenedDatabase } from '../core/store/database.ts'
import { readManagerIp } from '../inventory/ovs-agent/read-manager-ip.ts'

const MANAGER_PORT = 7002

/** Who checks passwords: the OVM manager, or the users of the configuration. */
export function makeAuthenticator(config: Config, database: OpenedDatabase): Authenticator {
  if (config.auth.provider === 'users') return new UsersAuthenticator(config.auth.users)
  return new ManagerAuthenticator({
    resolveEndpoint: async () =>
      config.ovmEndpoint ?? managerEndpoint(await readManagerIp(config.ovm.agentDbDir)),
    trust: managerTrust(config, database),
  })
}

function managerTrust({ ovm }: Config, database: OpenedDatabase): ManagerTrust {
  if (ovm.tls === 'off') return { mode: 'off' }
  if (ovm.tls === 'ca') return { mode: 'ca', caCertificate: ovm.caCertificate! }
  const pins = new KeyvPinStore(database.keyv(MANAGER_PINS_NAMESPACE))
  return { mode: 'pin', pins, howToAccept: 'run `diskferry forget-manager` on the host, then log in again' }
}

function managerEndpoint(address: string): string {
  return `https://${address.includes(':') ? `[${address}]` : address}:${MANAGER_PORT}`
}
