import { readFileSync } from 'node:fs'

const MIB = 1024 * 1024
/** What a garbage collector may leave lying about. */
const SLACK_FACTOR = 1.3
const SLACK_BYTES = 48 * MIB

/** Follows the resident memory of a process; proc_pid_status(5). */
export class MemoryWatch {
  readonly #pid: number
  readonly #samples: number[] = []

  constructor(pid: number) {
    this.#pid = pid
  }

  sample(): void {
    this.#samples.push(this.#read('VmRSS'))
  }

  /** Bytes, the most that it ever had. */
  peak(): number {
    return this.#read('VmHWM')
  }

  /** What is wrong when the last quarter of the samples lies above the second; undefined when memory was flat. */
  growth(): string | undefined {
    const quarter = Math.floor(this.#samples.length / 4)
    if (quarter === 0) return 'there are too few samples'
    const before = Math.max(...this.#samples.slice(quarter, 2 * quarter))
    const after = Math.max(...this.#samples.slice(-quarter))
    if (after <= before * SLACK_FACTOR + SLACK_BYTES) return undefined
    return `memory grew from ${mib(before)} to ${mib(after)}`
  }

  report(): string {
    const half = this.#samples[Math.floor(this.#samples.length / 2)] ?? 0
    return `${mib(half)} half-way, ${mib(this.#samples.at(-1) ?? 0)} at the end, ${mib(this.peak())} at most`
  }

  #read(name: string): number {
    const status = readFileSync(`/proc/${this.#pid}/status`, 'utf8')
    return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024
  }
}

function mib(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`
}
