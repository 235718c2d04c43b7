import { spawn } from 'node:child_process'
import type { Duplex, Readable, Writable } from 'node:stream'

/** Control, standard output, standard error. */
export type Ports = readonly [Duplex, Duplex, Duplex]

/** The machine did not get to the end of its command. */
export class MachineError extends Error {}

/** A port was closed too early, because QEMU ends. */
export class PortClosed extends Error {}

export interface RunningQemu {
  readonly ports: Ports
  /** What the work gives. @throws MachineError when QEMU ends before it, the signal's reason when aborted */
  during<T>(work: Promise<T>, signal: AbortSignal): Promise<T>
  /** The last lines of the kernel and of QEMU, for a message; empty when there are none. */
  consoleTail(): string
  /** Kills it, and waits for its end. */
  end(): Promise<void>
}

const TAIL_CHARACTERS = 4000

/**
 * @param disks descriptors, which it has from number 6 on, after those of its three ports
 * @param console gets the kernel's messages as they come
 */
export function startQemu(
  options: readonly string[],
  disks: readonly number[],
  console: Writable | undefined,
): RunningQemu {
  // The kernel ends QEMU when the thread that started it ends, however that may come. A session of its own
  // keeps a terminal's Ctrl-C away: whoever started it ends it.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...options], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', ...disks],
    detached: true,
  })
  let tail = ''
  for (const stream of [child.stdout, child.stderr] as readonly Readable[]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      tail = (tail + text).slice(-TAIL_CHARACTERS)
      console?.write(text)
    })
  }
  const ports = child.stdio.slice(3, 6) as unknown as Ports
  // What ends QEMU also breaks these; whoever reads them is told, and whoever doesn't need not be.
  for (const port of ports) port.on('error', () => undefined)
  const closed = new Promise<Error>((settle) => {
    child.once('error', settle)
    child.once('close', (code, signal) => settle(new Error(`QEMU ended with ${code ?? signal}.`)))
  })
  const consoleTail = () => (tail.trim() === '' ? '' : `\n${tail.trim()}`)

  return {
    ports,
    consoleTail,
    async during(work, signal) {
      const stopped = closed.then((end) => {
        throw new MachineError(
          `The test machine stopped before its command ended: ${end.message}${consoleTail()}`,
        )
      })
      const worked = work.catch((error) => {
        if (error instanceof PortClosed) return stopped
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
