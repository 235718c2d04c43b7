import { DiskferryError, describe } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Mount } from '../storage-backend.ts'
import { isNotResponding } from './not-responding.ts'
import { askForSign, type Sign } from './sign-of-life.ts'
import { Turns } from './turns.ts'

/**
 * Operations under way on one mount. Each holds up to ten threads of the pool, when it compares two files by content:
 * one mount that falls silent takes 320 of the 512 threads that the program starts with.
 */
const MOST_AT_ONCE = 32
/** An answer is believed for so long. */
const FRESH_MS = 1000
/** While operations are under way, and while a server refuses connections. */
const ASK_EVERY_MS = 2000

export interface MountWatchOptions {
  /** How long a mount may take to answer. */
  readonly patienceMs: number
  /** Asks whoever keeps the files: statfs(2), which no network filesystem answers from its memory. */
  readonly ask: (mountPoint: string) => Promise<unknown>
  readonly log: Log
  /** Told when a mount that was silent answers, and everything that was abandoned meanwhile has come to its end. */
  readonly onRecovered?: (mountPoint: string) => void
}

/**
 * Stands between the program and one mount, so that a server that is gone holds up nobody for long: system calls on its
 * files never return, can't be taken back, and each keeps a thread of libuv's pool. So the mount is asked for a sign of
 * life before and during every operation. While it gives none, operations are refused, and those under way abandoned:
 * their callers get an error, the work ends whenever the kernel lets it.
 */
export class MountWatch {
  readonly #mount: Pick<Mount, 'mountPoint' | 'filesystem' | 'source'>
  readonly #options: MountWatchOptions
  readonly #turns = new Turns(MOST_AT_ONCE)
  readonly #underWay = new Set<AbortController>()
  #abandoned = 0
  #answeredAt = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined
  /** There is never more than one call that asks. */
  #calling = false
  #timer: NodeJS.Timeout | undefined
  /** What is known of the silence; undefined while the mount answers. */
  #silence: string | undefined
  #wasSilent = false

  constructor(mount: Pick<Mount, 'mountPoint' | 'filesystem' | 'source'>, options: MountWatchOptions) {
    this.#mount = mount
    this.#options = options
  }

  /** Are there calls that the kernel may never let go? */
  get holdsThreads(): boolean {
    return this.#abandoned > 0 || (this.#silence !== undefined && this.#calling)
  }

  get idle(): boolean {
    return this.#underWay.size === 0 && this.#abandoned === 0 && !this.#calling
  }

  /** Resolves when the mount answered a moment ago. @throws REPOSITORY_NOT_RESPONDING within the patience */
  async assertAnswers(): Promise<void> {
    if (this.#silence === undefined && performance.now() - this.#answeredAt > FRESH_MS) await this.#ask()
    if (this.#silence !== undefined) throw this.#refusal()
  }

  /**
   * Runs an operation on the mount's files when it is its turn.
   *
   * @param work its signal is aborted with the caller's, and when the operation is abandoned: then nobody waits for its
   * result, and what it made must be taken back
   * @throws what the work throws; REPOSITORY_NOT_RESPONDING; the signal's reason while waiting for the turn
   */
  async run<Result>(work: (signal: AbortSignal) => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    await this.assertAnswers()
    await this.#turns.take(signal)
    return await this.#attend(async (either) => {
      try {
        if (this.#silence !== undefined) throw this.#refusal()
        return await work(either)
      } finally {
        this.#turns.give()
      }
    }, signal)
  }

  /**
   * As `run`, but waits for no turn: for a single short call, which may be part of an operation, and for what lasts so
   * long that it would keep a turn from others.
   */
  async call<Result>(work: (signal: AbortSignal) => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    await this.assertAnswers()
    return await this.#attend(work, signal)
  }

  /** For what has to be done in any case, such as closing a file: begun now, and waited for while the mount answers. */
  async release(work: () => Promise<void>): Promise<void> {
    try {
      await this.#attend(work)
    } catch (error) {
      if (!isNotResponding(error)) throw error
    }
  }

  async #attend<Result>(
    work: (signal: AbortSignal) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    const operation = new AbortController()
    const abandoned = new Promise<never>((_, reject) => {
      operation.signal.addEventListener('abort', () => reject(operation.signal.reason), { once: true })
    })
    const either = signal === undefined ? operation.signal : AbortSignal.any([signal, operation.signal])
    this.#underWay.add(operation)
    const done = work(either).finally(() => this.#end(operation))
    if (this.#silence !== undefined) this.#abandon(operation)
    this.#askLater()
    return await Promise.race([done, abandoned])
  }

  #abandon(operation: AbortController): void {
    this.#underWay.delete(operation)
    this.#abandoned++
    operation.abort(this.#refusal())
  }

  #end(operation: AbortController): void {
    if (this.#underWay.delete(operation)) return
    this.#abandoned--
    this.#tellRecovered()
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#askNow().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #askNow(): Promise<void> {
    const { ask, patienceMs } = this.#options
    const { inTime, atLast } = askForSign(() => ask(this.#mount.mountPoint), patienceMs)
    this.#calling = true
    const answered = atLast.then((sign) => {
      this.#calling = false
      this.#judge(sign)
    })
    if ((await inTime) === 'late') this.#fallSilent(`it has not answered for ${patienceMs / 1000} s`)
    else await answered
  }

  #judge(sign: Sign): void {
    if (sign !== undefined) this.#fallSilent(describe(sign))
    else this.#answer()
    this.#askLater()
  }

  /** While operations are under way on a mount that answers, and while one refuses to. */
  #askLater(): void {
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (!this.#calling && (this.#underWay.size > 0 || this.#silence !== undefined)) void this.#ask()
    }, ASK_EVERY_MS).unref()
  }

  #answer(): void {
    this.#answeredAt = performance.now()
    if (this.#silence === undefined) return
    this.#silence = undefined
    this.#options.log.info(this.#fields(), 'a repository answers again')
    this.#tellRecovered()
  }

  #fallSilent(what: string): void {
    const before = this.#silence
    this.#silence = what
    this.#wasSilent = true
    if (before === undefined) {
      const fields = { ...this.#fields(), operations: this.#underWay.size, reason: what }
      this.#options.log.error(
        fields,
        'a repository does not answer: requests for it are refused until it does',
      )
    }
    this.#turns.refuse(this.#refusal())
    for (const operation of this.#underWay) this.#abandon(operation)
  }

  #tellRecovered(): void {
    if (!this.#wasSilent || this.#silence !== undefined || this.#abandoned > 0) return
    this.#wasSilent = false
    this.#options.onRecovered?.(this.#mount.mountPoint)
  }

  #refusal(): DiskferryError {
    const { mountPoint, filesystem, source } = this.#mount
    return new DiskferryError(
      'REPOSITORY_NOT_RESPONDING',
      `the filesystem on '${mountPoint}' (${filesystem}, ${source}) does not answer: ${this.#silence}. Check its server and the network between; it is used again as soon as it answers`,
      { clientMessage: 'The storage of a repository that this needs does not answer; try again later.' },
    )
  }

  #fields(): object {
    const { mountPoint, filesystem, source } = this.#mount
    return { mount_point: mountPoint, filesystem, source }
  }
}
