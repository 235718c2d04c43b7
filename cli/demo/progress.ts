import type { WriteStream } from 'node:tty'
import { formatBytes } from './format-bytes.ts'

const REDRAW_MS = 100

/** One line a step; on a terminal the line of a running step shows how far it is. */
export class Progress {
  readonly #out: WriteStream
  #drawnAt = 0

  constructor(out: WriteStream) {
    this.#out = out
  }

  /** @param work is given a function to call with the bytes done and the bytes in all */
  async step<Result>(
    what: string,
    work: (report: (done: number, all: number) => void) => Promise<Result>,
  ): Promise<Result> {
    const began = performance.now()
    this.#draw(`${what} ...`)
    const result = await work((done, all) => this.#report(what, done, all))
    this.#clear()
    this.#out.write(`${what}: ${((performance.now() - began) / 1000).toFixed(1)} s\n`)
    return result
  }

  #report(what: string, done: number, all: number): void {
    const now = performance.now()
    if (now - this.#drawnAt < REDRAW_MS) return
    this.#drawnAt = now
    const percent = all === 0 ? 100 : Math.floor((done / all) * 100)
    this.#draw(`${what} ... ${percent} % of ${formatBytes(all)}`)
  }

  #draw(line: string): void {
    if (!this.#out.isTTY) return
    this.#clear()
    this.#out.write(line.slice(0, this.#out.columns - 1))
  }

  #clear(): void {
    if (this.#out.isTTY) this.#out.write('\r\x1b[2K')
  }
}
