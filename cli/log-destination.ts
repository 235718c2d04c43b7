import { closeSync, openSync, writeSync } from 'node:fs'
import { describe, systemCode } from '../core/errors.ts'

/** Bytes that are kept while nothing can be written. */
const MOST_KEPT = 1024 * 1024
const MODE = 0o640
const RETRY_MS = 1000
/** Of a pipe whose reader is slow: a fifth of a second in all. */
const PAUSES = 20
const PAUSE_MS = 10

/**
 * Where the lines of the log go: each is written at once, so that a crash loses none. What can't be written, on a full disk
 * for example, fails nobody who logs: the next 1 MiB is kept and follows when there is space, what comes after it is lost,
 * and counted.
 *
 * Not pino's own destination (sonic-boom 4.2): that stays silent for good when what it may keep is used up, and when the
 * program logs its end on a full disk it waits for space and does nothing else.
 */
export class LogDestination {
  readonly #file: string | undefined
  readonly #onLost: (lines: number) => void
  #descriptor: number
  #kept: Buffer[] = []
  #keptBytes = 0
  #lost = 0
  #isBroken = false
  #retry: NodeJS.Timeout | undefined

  /**
   * @param target a file, which is appended to and made (mode 0640) when absent, or a descriptor
   * @param onLost told how many lines were lost, when it can be written again
   * @throws the system's error, for a file
   */
  constructor(target: string | number, onLost: (lines: number) => void) {
    this.#file = typeof target === 'string' ? target : undefined
    this.#descriptor = typeof target === 'string' ? openSync(target, 'a', MODE) : target
    this.#onLost = onLost
  }

  write(line: string): void {
    const bytes = Buffer.from(line)
    if (this.#keptBytes + bytes.length > MOST_KEPT && !this.#flush()) {
      this.#lost += 1
      return
    }
    this.#kept.push(bytes)
    this.#keptBytes += bytes.length
    this.#flush()
  }

  /** Goes on in a new file when the old one was moved away; in the old one where that can't be made. */
  reopen(): void {
    if (this.#file === undefined) return
    try {
      const old = this.#descriptor
      this.#descriptor = openSync(this.#file, 'a', MODE)
      closeSync(old)
    } catch (error) {
      complain(`the log can't be opened anew: ${describe(error)}`)
    }
    this.#flush()
  }

  /** What is kept is lost. */
  close(): void {
    clearTimeout(this.#retry)
    if (this.#file !== undefined) closeSync(this.#descriptor)
  }

  /** @returns whether all that was kept is written */
  #flush(): boolean {
    try {
      for (let first = this.#kept[0]; first !== undefined; first = this.#kept[0]) {
        const written = this.#writeSome(first)
        this.#keptBytes -= written
        if (written === first.length) this.#kept.shift()
        else this.#kept[0] = first.subarray(written)
      }
    } catch (error) {
      if (!this.#isBroken) complain(`the log can't be written: ${describe(error)}`)
      this.#isBroken = true
      this.#retry ??= setTimeout(() => {
        this.#retry = undefined
        this.#flush()
      }, RETRY_MS).unref()
      return false
    }
    this.#isBroken = false
    const lost = this.#lost
    this.#lost = 0
    if (lost > 0) this.#onLost(lost)
    return true
  }

  #writeSome(bytes: Buffer): number {
    for (let pause = 0; ; pause += 1) {
      try {
        return writeSync(this.#descriptor, bytes)
      } catch (error) {
        if (systemCode(error) !== 'EAGAIN' || pause === PAUSES) throw error
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
    }
  }
}

/** To standard error, which may lie on the same full disk. */
function complain(text: string): void {
  if (process.stderr.listenerCount('error') === 0) process.stderr.on('error', () => undefined)
  try {
    process.stderr.write(`${text}\n`)
  } catch {
    // There is nobody left to tell.
  }
}
