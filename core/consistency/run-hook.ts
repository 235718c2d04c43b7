import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { DiskferryError, describe, systemCode } from '../errors.ts'
import { toMicrosecond } from './clone-spans.ts'

export interface HookRun {
  /** `quiesce.before`, for messages. */
  readonly name: string
  /** The program and its arguments; no shell looks at them. */
  readonly argv: readonly string[]
  readonly timeoutMs: number
}

export interface HookResult {
  readonly ms: number
  /** The last of what it wrote to standard output and standard error. */
  readonly output: string
}

const MAX_OUTPUT_BYTES = 4096
/** For the rest of the output: a process that a hook leaves behind may hold the pipes open for ever. */
const OUTPUT_GRACE_MS = 250
/** A process that waits for a dead device can't be killed, and must not keep us. */
const DEATH_GRACE_MS = 2000

/**
 * Runs a hook in a process group of its own. At its timeout, and when aborted, the whole group is killed.
 *
 * @throws QUIESCE_FAILED with what it wrote; ABORTED
 */
export async function runHook({ name, argv, timeoutMs }: HookRun, signal?: AbortSignal): Promise<HookResult> {
  const [program, ...args] = argv
  const failed = (what: string, output = '', cause?: unknown): DiskferryError =>
    new DiskferryError(
      'QUIESCE_FAILED',
      `the hook ${name} (${program}) ${what}${output === '' ? '' : `; it wrote: ${output}`}`,
      { cause },
    )
  if (signal?.aborted) throw aborted(name, signal)
  const began = performance.now()
  const timeout = AbortSignal.timeout(timeoutMs)
  const either = signal === undefined ? timeout : AbortSignal.any([timeout, signal])
  let child: ChildProcessByStdio<null, Readable, Readable>
  try {
    child = spawn(program!, args, { detached: true, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    throw failed(`can't be started: ${describe(error)}`, '', error)
  }
  const output = new Tail()
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => output.add(bytes))
  const closed = new Promise((resolve) => child.once('close', resolve))
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  ended.catch(() => undefined)
  const stop = () => killGroup(child.pid)
  either.addEventListener('abort', stop)
  try {
    const late = once(either, 'abort').then(() => delay(DEATH_GRACE_MS, undefined, { ref: false }))
    const [code, ending] = (await Promise.race([ended, late])) ?? [null, null]
    await Promise.race([closed, delay(OUTPUT_GRACE_MS, undefined, { ref: false })])
    if (signal?.aborted) throw aborted(name, signal)
    if (timeout.aborted) throw failed(`was not done after ${timeoutMs} ms and was killed`, output.text())
    if (code !== 0)
      throw failed(code === null ? `was ended by ${ending}` : `ended with exit code ${code}`, output.text())
    return { ms: toMicrosecond(performance.now() - began), output: output.text() }
  } catch (error) {
    if (error instanceof DiskferryError) throw error
    const advice = systemCode(error) === 'ENOENT' ? ': there is no such program' : `: ${describe(error)}`
    throw failed(`can't be started${advice}`, '', error)
  } finally {
    either.removeEventListener('abort', stop)
    child.stdout.destroy()
    child.stderr.destroy()
    child.unref()
  }
}

/** The end of what a program writes: the reason of a failure stands there. */
class Tail {
  #bytes = Buffer.alloc(0)
  #cut = false

  add(bytes: Buffer): void {
    const all = Buffer.concat([this.#bytes, bytes])
    this.#cut ||= all.length > MAX_OUTPUT_BYTES
    this.#bytes = Buffer.from(all.subarray(-MAX_OUTPUT_BYTES))
  }

  text(): string {
    return `${this.#cut ? '... ' : ''}${this.#bytes.toString('utf8').trim()}`
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') throw error
  }
}

function aborted(name: string, signal: AbortSignal): DiskferryError {
  return new DiskferryError('ABORTED', `the hook ${name} was given up: the client went away`, {
    cause: signal.reason,
  })
}
