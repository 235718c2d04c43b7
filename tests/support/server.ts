import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomBytes, scryptSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { formatPasswordHash } from '../../config/password-hash-format.ts'
import { FAULT_POINT_VARIABLE } from '../../core/fault-points.ts'
import { makeCertificate } from './certificate.ts'
import { onProcessExit } from './exit-cleanup.ts'
import { PROGRAM, PROJECT, SOURCES } from './program.ts'

/** In the test machine nothing starts fast, nor where other tests run. */
const START_TIMEOUT_MS = 120_000
const PLUGINS = '[[backends]]'

/** Tells what of its heap a running server really uses, or lets it kill itself at the fault point that is named. */
const RECEIVER = `data:text/javascript,${encodeURIComponent(`
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
process.on('message', ({ fault }) => {
  if (fault === undefined) {
    setFlagsFromString('--expose-gc')
    runInNewContext('gc')()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    process.send(heapUsed + arrayBuffers)
    return
  }
  process.env.${FAULT_POINT_VARIABLE} = fault
  process.send('armed')
})
process.channel?.unref()`)}`

export const USERNAME = 'backup'
export const PASSWORD = 'correct horse battery staple'

export interface ServerOptions {
  /** Configuration, database and certificate are kept here; a second server on it finds the first one's state. */
  readonly directory: string
  /** The ovs-agent's database folder; when left out, `extraConfig` has a static inventory. */
  readonly agentDbDir?: string
  /** The database of another server; one of its own in `directory` when left out. */
  readonly dbFile?: string
  /** `inventory.answer_within`, such as "5s". */
  readonly answerWithin?: string
  /** `inventory.require_mount_point`; the default when left out. */
  readonly requireMountPoint?: boolean
  /** `api.shutdown_grace`, such as "5s". */
  readonly shutdownGrace?: string
  /** Clients must show a certificate; the server's own will do. */
  readonly clientCertificates?: 'required'
  /** More keys of the tables `api` and `auth`. */
  readonly limits?: Readonly<Record<'api' | 'auth', Readonly<Record<string, number>>>>
  /** Put at the end of the configuration: whole tables. */
  readonly extraConfig?: string
  readonly env?: Readonly<Record<string, string>>
  /** What stands before its command line, and becomes it: `setpriv ...`. */
  readonly launcher?: readonly string[]
}

/** One line of the server's log. */
export type LogLine = Readonly<Record<string, unknown>>

export interface TestServer extends AsyncDisposable {
  /** `https://127.0.0.1:12345` */
  readonly baseUrl: string
  /** PEM of the only certificate to trust. */
  readonly ca: string
  /** PEM of the key of that certificate. */
  readonly key: string
  readonly pid: number
  readonly configFile: string
  /** What it has logged so far. Lines that are not JSON are kept as `{ text }`. */
  readonly logs: readonly LogLine[]
  /** Resolves at its end with the signal that ended it; null when it exited by itself. */
  readonly ended: Promise<NodeJS.Signals | null>
  /** From now on it kills itself where it passes this fault point, `<point>:<n>` for the n-th time from now. */
  arm(fault: string): Promise<void>
  /** Bytes of its heap and its buffers that are left after a collection of garbage; not to be called while it arms. */
  memoryInUse(): Promise<number>
  /** Waits for a line of its log, or finds it there. */
  logged(wanted: (line: LogLine) => boolean): Promise<LogLine>
  /** What it wrote to standard error so far. */
  stderr(): string
  /** SIGTERM; waits for the end. @returns the exit code; null when a signal ended it */
  stop(): Promise<number | null>
  /** SIGKILL; waits for the end. */
  kill(): Promise<void>
}

/**
 * Starts the real server as a process of its own, on a free port of 127.0.0.1, with TLS and the user
 * `USERNAME` with `PASSWORD`. Disposing of it stops it and fails when it does not end with exit code 0.
 * @throws with everything that the server wrote, when it does not get ready
 */
export async function startServer(options: ServerOptions): Promise<TestServer> {
  await mkdir(options.directory, { recursive: true })
  const { certificate, key, pem } = await makeCertificate(options.directory)
  const configFile = join(options.directory, 'diskferry.toml')
  await writeFile(configFile, configuration(options, certificate, key), { mode: 0o600 })

  const program = options.extraConfig?.includes(PLUGINS) ? SOURCES : PROGRAM
  const run = [process.execPath, '--import', RECEIVER, ...program, 'serve', '--config', configFile]
  const [command, ...args] = [...(options.launcher ?? []), ...run]
  const child = spawn(command!, args, {
    cwd: PROJECT,
    // As the installed command sets it, which goes through another file.
    env: { UV_THREADPOOL_SIZE: '512', ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  }) as ChildProcessByStdio<null, Readable, Readable>
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  const forget = onProcessExit(() => child.kill('SIGKILL'))
  void ended.then(forget)
  const logs: LogLine[] = []
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })

  const server = {
    ca: pem,
    key: await readFile(key, 'utf8'),
    pid: child.pid!,
    configFile,
    logs,
    ended: ended.then(([, signal]) => signal),
    async arm(fault: string) {
      child.send({ fault })
      await once(child, 'message')
    },
    async memoryInUse() {
      child.send({})
      const [bytes] = (await once(child, 'message')) as [number]
      return bytes
    },
    async logged(wanted: (line: LogLine) => boolean) {
      for (;;) {
        const found = logs.find(wanted)
        if (found !== undefined) return found
        await once(child.stdout, 'data')
        // The line reader takes it in the same turn, after us.
        await setImmediate()
      }
    },
    stderr: () => errors,
    async stop() {
      child.kill('SIGTERM')
      return (await ended)[0]
    },
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    async [Symbol.asyncDispose]() {
      if (child.signalCode !== null) return
      const code = child.exitCode ?? (await server.stop())
      if (code !== 0) throw new Error(`the server ended with ${code}\n${written(logs, errors)}`)
    },
  }
  try {
    return { ...server, baseUrl: await address(child, logs) }
  } catch (error) {
    await server.kill()
    throw new Error(`the server did not get ready: ${error}\n${written(logs, errors)}`, { cause: error })
  }
}

/** The database of a server that was given none. */
export function databaseFile(directory: string): string {
  return join(directory, 'diskferry.db')
}

/** Resolves with the first log line that has an `address`. */
function address(child: ChildProcessByStdio<null, Readable, Readable>, logs: LogLine[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(
      () => reject(new Error(`no address after ${START_TIMEOUT_MS} ms`)),
      START_TIMEOUT_MS,
    )
    child.once('close', (code, signal) => {
      clearTimeout(late)
      reject(new Error(`it ended with ${code ?? signal}`))
    })
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = parse(text)
      logs.push(line)
      const { address: bound } = line
      if (typeof bound !== 'string') return
      clearTimeout(late)
      resolve(bound)
    })
  })
}

function parse(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine
  } catch {
    return { text }
  }
}

function written(logs: readonly LogLine[], errors: string): string {
  return [...logs.map((line) => JSON.stringify(line)), errors].join('\n')
}

function configuration(options: ServerOptions, certificate: string, key: string): string {
  const text = JSON.stringify
  const { agentDbDir, answerWithin, requireMountPoint, shutdownGrace, clientCertificates, limits } = options
  const keys = (of: 'api' | 'auth') =>
    Object.entries(limits?.[of] ?? {}).map(([key, value]) => `${key} = ${value}`)
  const api = [
    ...(shutdownGrace === undefined ? [] : [`shutdown_grace = ${text(shutdownGrace)}`]),
    ...(clientCertificates === undefined ? [] : [`client_certificates = ${text(clientCertificates)}`]),
    ...keys('api'),
  ].join('\n')
  const source = agentDbDir === undefined ? 'static' : 'ovs-agent'
  const inventory = [
    `[inventory]\nsource = "${source}"`,
    ...(answerWithin === undefined ? [] : [`answer_within = ${text(answerWithin)}`]),
    ...(requireMountPoint === undefined ? [] : [`require_mount_point = ${requireMountPoint}`]),
    ...(agentDbDir === undefined ? [] : [`\n[ovm]\nagent_db_dir = ${text(agentDbDir)}`]),
  ].join('\n')
  return `db_file = ${text(options.dbFile ?? databaseFile(options.directory))}

[jwt]
secret = "${randomBytes(32).toString('hex')}"

[api]
bind = "127.0.0.1"
port = 0
${api}

[api.tls]
certificate = ${text(certificate)}
key = ${text(key)}
${clientCertificates === undefined ? '' : `ca_certificate = ${text(certificate)}`}

[auth]
provider = "users"
${keys('auth').join('\n')}

[[auth.users]]
username = ${text(USERNAME)}
password_hash = ${text(passwordHash())}

${inventory}
${options.extraConfig ?? ''}`
}

/** At the least cost that a configuration may have, because every test logs in. */
function passwordHash(): string {
  const salt = randomBytes(16)
  const costs = { logN: 13, blockSize: 8, parallelism: 1 }
  const hash = scryptSync(PASSWORD, salt, 32, {
    N: 2 ** costs.logN,
    r: costs.blockSize,
    p: costs.parallelism,
  })
  return formatPasswordHash({ ...costs, salt, hash })
}
