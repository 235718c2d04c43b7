import { spawn } from 'node:child_process'
import type { Duplex, Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** Control, standard output, standard error. */
export type Lines = readonly [Duplex, Duplex, Duplex]

/** The machine did not get to the end of its command. */
export class MachineError extends Error {}

/** A serial line was closed too early, because the kernel ends. */
export class LineClosed extends Error {}

export interface UmlStart {
  /** Of the kernel. */
  readonly options: readonly string[]
  /** What `boot/enter` reads. */
  readonly input: string
  /** Which the kernel has from number 6 on, after those of its three serial lines: its disks and its cable. */
  readonly descriptors: readonly number[]
  /** May it use this machine's network? */
  readonly network: boolean
  /** Gets the kernel's messages as they come. */
  readonly console: Writable | undefined
}

export interface RunningUml {
  readonly lines: Lines
  /** What the work gives. @throws MachineError when the kernel ends before it, the signal's reason when aborted */
  during<T>(work: Promise<T>, signal: AbortSignal): Promise<T>
  /** The last lines of the kernel, for a message; empty when there are none. */
  consoleTail(): string
  /** Kills it, and waits for its end. */
  end(): Promise<void>
}

const ENTER = fileURLToPath(new URL('boot/enter', import.meta.url))
const TAIL_CHARACTERS = 4000

/** Starts a kernel in namespaces of its own: it and all that it runs end with the first process of them. */
export function startUml({ options, input, descriptors, network, console }: UmlStart): RunningUml {
  const namespaces = ['--mount', '--pid', '--ipc', '--uts', ...(network ? [] : ['--net'])]
  // Whoever is not root is it in there, and may mount.
  if (process.getuid?.() !== 0) namespaces.push('--map-root-user')
  // The kernel ends unshare when the thread that started it ends, however that may come, and unshare does the rest.
  // A session of its own keeps a terminal's Ctrl-C away: whoever started it ends it.
  const command = ['unshare', ...namespaces, '--fork', '--kill-child=KILL', 'sh', ENTER, ...options]
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', ...descriptors],
    detached: true,
  })
  let tail = ''
  for (const stream of [child.stdout, child.stderr] as readonly Readable[]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      tail = (tail + text).slice(-TAIL_CHARACTERS)
      console?.write(text)
    })
  }
  const [stdin, , , ...lines] = child.stdio.slice(0, 6) as unknown as [Writable, null, null, ...Lines]
  // What ends the kernel also breaks these; whoever reads them is told, and whoever doesn't need not be.
  for (const stream of [stdin, ...lines]) stream.on('error', () => undefined)
  stdin.end(input)
  const closed = new Promise<Error>((settle) => {
    child.once('error', settle)
    child.once('close', (code, signal) => settle(new Error(`it ended with ${code ?? signal}.`)))
  })
  const consoleTail = () => (tail.trim() === '' ? '' : `\n${tail.trim()}`)

  return {
    lines,
    consoleTail,
    async during(work, signal) {
      const stopped = closed.then((end) => {
        throw new MachineError(
          `The test machine stopped before its command ended: ${end.message}${consoleTail()}`,
        )
      })
      const worked = work.catch((error) => {
        if (error instanceof LineClosed) return stopped
        throw error
      })
      return Promise.race([worked, stopped, aborted(signal)])
    },
    async end() {
      child.kill('SIGKILL')
      await closed
    },
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
