import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describeError } from 'diskferry/core'
import type { Server } from './server.ts'

const SHARE = 'share'
const USER = 'root'
const PASSWORD = 'password'
/** MD4 of the password in UTF-16: Node's OpenSSL no longer computes it. */
const NT_HASH = '8846F7EAEE8FB117AD06BDD830B7586C'
const READY_RETRIES = 600
const READY_PAUSE_MS = 50

/**
 * Shares a folder by a Samba server of its own.
 * @param shareOptions lines for the share
 * @param port on the loopback, that nobody else uses
 */
export async function shareBySmb(
  directory: string,
  shareOptions: readonly string[],
  port: number,
): Promise<Server> {
  const state = await mkdtemp('/run/machine/smb-')
  await mkdir(join(state, 'ncalrpc'))
  await writeFile(
    join(state, 'passwd'),
    `${USER}:0:${'X'.repeat(32)}:${NT_HASH}:[U          ]:LCT-00000001:\n`,
  )
  const config = join(state, 'smb.conf')
  await writeFile(config, configuration(state, directory, shareOptions, port))
  // It makes itself the leader of a session, and so of the group of its processes.
  const smbd = spawn('smbd', ['--foreground', `--configfile=${config}`], { stdio: 'ignore' })
  const ended = once(smbd, 'exit')
  const signal = (name: NodeJS.Signals) => process.kill(-smbd.pid!, name)
  const server: Server = {
    source: `//127.0.0.1/${SHARE}`,
    mountOptions: [`port=${port}`, `username=${USER}`, `password=${PASSWORD}`],
    pause: async () => void signal('SIGSTOP'),
    resume: async () => void signal('SIGCONT'),
    async [Symbol.asyncDispose]() {
      if (smbd.exitCode === null && smbd.signalCode === null) signal('SIGTERM')
      await ended
      await rm(state, { recursive: true })
    },
  }
  try {
    await accepting(port, smbd)
    return server
  } catch (error) {
    const log = await readFile(join(state, 'log'), 'utf8').catch(describeError)
    await server[Symbol.asyncDispose]()
    throw new Error(`${describeError(error)}\n${log}`, { cause: error })
  }
}

/** Nothing says when Samba listens, so this asks for half a minute. */
async function accepting(port: number, smbd: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < READY_RETRIES; attempt += 1) {
    if (smbd.exitCode !== null) throw new Error(`smbd ended with ${smbd.exitCode}.`)
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch {
      await delay(READY_PAUSE_MS)
    } finally {
      socket.destroy()
    }
  }
  throw new Error(`smbd does not listen on port ${port}.`)
}

function configuration(state: string, directory: string, share: readonly string[], port: number): string {
  const places = ['lock', 'state', 'cache', 'pid', 'private'].map((name) =>
    name === 'private' ? `private dir = ${state}` : `${name} directory = ${state}`,
  )
  return [
    '[global]',
    'server role = standalone server',
    'server min protocol = SMB3_11',
    'interfaces = 127.0.0.1',
    'bind interfaces only = yes',
    `smb ports = ${port}`,
    'disable netbios = yes',
    'load printers = no',
    'disable spoolss = yes',
    `passdb backend = smbpasswd:${join(state, 'passwd')}`,
    `log file = ${join(state, 'log')}`,
    `ncalrpc dir = ${join(state, 'ncalrpc')}`,
    ...places,
    `[${SHARE}]`,
    `path = ${directory}`,
    'read only = no',
    ...share,
    '',
  ].join('\n')
}
