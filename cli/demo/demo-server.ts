import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { hashPassword } from '../../api/auth/password-hash.ts'
import { loadConfig } from '../../config/load-config.ts'
import { createLogger } from '../logger.ts'
import { startServer } from '../serve.ts'
import type { CleanupStack } from './cleanup-stack.ts'
import type { DemoRepository } from './demo-repository.ts'
import type { DemoStorage } from './demo-storage.ts'

export interface DemoServer {
  readonly baseUrl: string
  readonly certificate: string
  readonly certificateFile: string
  readonly logFile: string
  readonly username: string
  readonly password: string
}

/** Starts the real server, with a configuration file such as an administrator would write, on a free port of 127.0.0.1. */
export async function startDemoServer(
  storage: DemoStorage,
  repository: DemoRepository,
  cleanup: CleanupStack,
): Promise<DemoServer> {
  const file = (name: string) => join(storage.work, name)
  const { cert, private: key } = await makeCertificate()
  await writeFile(file('certificate.pem'), cert)
  await writeFile(file('key.pem'), key, { mode: 0o600 })
  const username = 'demo'
  const password = randomBytes(9).toString('base64url')
  const configFile = file('config.toml')
  await writeFile(configFile, await configText(storage, repository, username, password), { mode: 0o600 })

  const { config } = await loadConfig(configFile)
  const { logger } = createLogger({ file: file('diskferry.log'), level: config.logLevel })
  const { address, stop } = await startServer(config, storage.work, logger)
  cleanup.add('the server', stop)
  return {
    baseUrl: address,
    certificate: cert,
    certificateFile: file('certificate.pem'),
    logFile: file('diskferry.log'),
    username,
    password,
  }
}

async function configText(
  { work, isMountPoint }: DemoStorage,
  { agentDbDir }: DemoRepository,
  username: string,
  password: string,
): Promise<string> {
  const quoted = (name: string) => JSON.stringify(join(work, name))
  return `
db_file = ${quoted('diskferry.db')}

[jwt]
secret = "${randomBytes(32).toString('hex')}"

[api]
bind = "127.0.0.1"
port = 0
shutdown_grace = "2s"
    [api.tls]
    certificate = ${quoted('certificate.pem')}
    key = ${quoted('key.pem')}

[ovm]
agent_db_dir = ${JSON.stringify(agentDbDir)}

[inventory]
require_mount_point = ${isMountPoint}

[auth]
provider = "users"
    [[auth.users]]
    username = "${username}"
    password_hash = "${await hashPassword(password)}"
`
}

function makeCertificate() {
  return generate([{ name: 'commonName', value: 'diskferry demo' }], {
    keyType: 'ec',
    curve: 'P-256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 7, ip: '127.0.0.1' },
          { type: 2, value: 'localhost' },
        ],
      },
    ],
  })
}
