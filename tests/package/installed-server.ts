import { spawn } from 'node:child_process'
import { randomBytes, scryptSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { formatPasswordHash } from '../../config/password-hash-format.ts'
import { makeCertificate } from '../support/certificate.ts'
import { onProcessExit } from '../support/exit-cleanup.ts'
import { PASSWORD, USERNAME } from '../support/server.ts'
import { shellEnvironment } from './npm.ts'

export interface InstalledServer {
  readonly baseUrl: string
  /** PEM of the only certificate to trust. */
  readonly ca: string
  /** What it has logged. */
  readonly messages: readonly string[]
  /** SIGTERM. @returns the exit code; null when a signal ended it */
  stop(): Promise<number | null>
}

/**
 * Starts `diskferry serve` as it was installed, outside the project, with TLS on a free port.
 * @param extraConfig whole tables, the inventory among them
 * @throws with what it wrote, when it ends before it listens
 */
export async function serveInstalled(
  program: string,
  directory: string,
  extraConfig: string,
): Promise<InstalledServer> {
  await mkdir(directory, { recursive: true })
  const { certificate, key, pem } = await makeCertificate(directory)
  const configFile = join(directory, 'config.toml')
  await writeFile(configFile, configuration(directory, certificate, key, extraConfig), { mode: 0o600 })
  const child = spawn(program, ['serve', '--config', configFile], {
    cwd: '/',
    env: shellEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const forget = onProcessExit(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit') as Promise<[number | null]>
  void ended.then(forget)
  const errors = text(child.stderr)
  const messages: string[] = []
  const listening = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { msg, address } = JSON.parse(line) as { readonly msg: string; readonly address?: string }
      messages.push(msg)
      if (address !== undefined) resolve(address)
    })
    child.once('close', async () =>
      reject(new Error(`it ended early: ${messages.join('\n')}\n${await errors}`)),
    )
  })
  return {
    baseUrl: await listening,
    ca: pem,
    messages,
    async stop() {
      child.kill('SIGTERM')
      return (await ended)[0]
    },
  }
}

function configuration(directory: string, certificate: string, key: string, extra: string): string {
  const salt = randomBytes(16)
  const costs = { logN: 13, blockSize: 8, parallelism: 1 }
  const hash = scryptSync(PASSWORD, salt, 32, {
    N: 2 ** costs.logN,
    r: costs.blockSize,
    p: costs.parallelism,
  })
  return `db_file = ${JSON.stringify(join(directory, 'diskferry.db'))}

[jwt]
secret = "${randomBytes(32).toString('hex')}"

[api]
bind = "127.0.0.1"
port = 0

[api.tls]
certificate = ${JSON.stringify(certificate)}
key = ${JSON.stringify(key)}

[auth]
provider = "users"

[[auth.users]]
username = "${USERNAME}"
password_hash = "${formatPasswordHash({ ...costs, salt, hash })}"

[inventory]
source = "static"

${extra}`
}
