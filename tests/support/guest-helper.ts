import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { onProcessExit } from './exit-cleanup.ts'

interface Range {
  readonly path: string
  /** Bytes. */
  readonly start: number
  readonly length: number
}

/** An operation of guest-helper.py. */
export type GuestRequest =
  | (Range & { readonly op: 'punch' })
  | (Range & { readonly op: 'preallocate' | 'zeroRange'; readonly keepSize: boolean })
  | (Range & { readonly op: 'direct' | 'mapped' })
  | (Range & { readonly op: 'cloneRange'; readonly from: number })
  | (Range & { readonly op: 'relocate'; readonly donor: string })

/**
 * System calls that node lacks (fallocate, O_DIRECT, mmap, FIDEDUPERANGE), done by one long-lived process that
 * shares no code with Diskferry.
 */
export class GuestHelper implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #answers: AsyncIterator<string>
  readonly #forget: () => void
  #last: Promise<void> = Promise.resolve()

  constructor() {
    const script = fileURLToPath(new URL('guest-helper.py', import.meta.url))
    this.#child = spawn('/usr/bin/python3', [script], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
    this.#forget = onProcessExit(() => this.#child.kill('SIGKILL'))
  }

  /** One after the other, in the order of the calls. @throws the system call's error text */
  do(request: GuestRequest, payload?: Buffer): Promise<void> {
    const done = this.#last.then(() => this.#exchange(request, payload))
    this.#last = done.catch(() => undefined)
    return done
  }

  async #exchange(request: GuestRequest, payload: Buffer | undefined): Promise<void> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`)
    if (payload !== undefined) this.#child.stdin.write(payload)
    const { value } = await this.#answers.next()
    if (value === undefined) throw new Error('the guest helper ended')
    const answer = JSON.parse(value) as { readonly error?: string }
    if (answer.error !== undefined) throw new Error(`${JSON.stringify(request)}: ${answer.error}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.stdin.end()
    await exited
    this.#forget()
  }
}
