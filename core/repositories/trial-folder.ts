import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { systemCode } from '../errors.ts'

const PREFIX = '.diskferry-trial-'
const NAME = /^\.diskferry-trial-(?<host>[0-9a-f]{8})-(?<pid>\d+)-(?<started>\d+)-[0-9a-f]{12}$/
const STALE_MS = 3_600_000

/** proc_pid_stat(5): after the command in parentheses, the 20th field is when the process started. */
const START_TIME_FIELD = 19

/**
 * Makes a folder for everything that a check of one mount writes, so that one name tells whose it is, whatever a
 * backend calls its files.
 *
 * @returns its path; it is removed with all in it when disposed of
 * @throws the system's error
 */
export async function makeTrialFolder(parent: string): Promise<AsyncDisposable & { readonly path: string }> {
  const started = (await startTimeOf(process.pid)) ?? '0'
  const name = `${PREFIX}${hostMark()}-${process.pid}-${started}-${randomBytes(6).toString('hex')}`
  const path = join(parent, name)
  await mkdir(path, { mode: 0o700 })
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/**
 * Removes what programs that were killed in the middle of a check left: those of this host as soon as they are dead,
 * those of another one, which may be alive, after an hour.
 *
 * @throws the system's error
 */
export async function removeStaleTrials(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(PREFIX)) continue
    try {
      if (await isStale(parent, name)) await rm(join(parent, name), { recursive: true, force: true })
    } catch (error) {
      // Another check has ended meanwhile, here or in another process, and took its own files away.
      if (systemCode(error) !== 'ENOENT') throw error
    }
  }
}

async function isStale(parent: string, name: string): Promise<boolean> {
  const { host, pid, started } = NAME.exec(name)?.groups ?? {}
  if (host === hostMark()) return (await startTimeOf(Number(pid))) !== started
  const { mtimeMs } = await stat(join(parent, name))
  return Date.now() - mtimeMs > STALE_MS
}

/** Process ids mean nothing on another host that has the same repository mounted. */
function hostMark(): string {
  return createHash('sha256').update(hostname()).digest('hex').slice(0, 8)
}

/** Tells a process from a later one with the same id; undefined when there is no such process. */
async function startTimeOf(pid: number): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[START_TIME_FIELD]
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ESRCH') return undefined
    throw error
  }
}
