import { DiskferryError, describe } from '../errors.ts'
import { faultPoint } from '../fault-points.ts'
import type { Log } from '../log.ts'
import type { SnapshotConsistency } from './consistency.ts'
import { type HookSubject, hookArguments } from './hook-arguments.ts'
import { runHook } from './run-hook.ts'

export interface QuiesceOptions {
  /** The program and its arguments. */
  readonly before?: readonly string[]
  readonly after?: readonly string[]
  /** Of each hook. */
  readonly timeoutMs: number
  /** No snapshot without `before`. */
  readonly required: boolean
}

export type Quiesced<Result> = Pick<SnapshotConsistency, 'consistency' | 'consistencyReason'> & {
  readonly result: Result
}

/** Brings a guest to rest for the moment of its snapshot, by programs of the administrator. */
export class Quiesce {
  readonly #options: QuiesceOptions
  readonly #log: Log

  constructor(options: QuiesceOptions, log: Log) {
    this.#options = options
    this.#log = log
  }

  /**
   * Runs `before`, then `work`, then `after`, which is run in any case once `before` was begun: when `before` or `work`
   * fails, and when the client goes away. Neither is run where the arguments of one are refused: a guest must not be
   * brought to rest that can't be woken.
   *
   * @throws QUIESCE_FAILED when `before` fails, or arguments are refused, and it is required; ABORTED; what `work` throws
   */
  async around<Result>(
    subject: HookSubject,
    work: () => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Quiesced<Result>> {
    const { before, after } = this.#options
    if (before === undefined && after === undefined) {
      return { result: await work(), consistency: 'crash', consistencyReason: null }
    }
    const refusal = refusedArguments([before, after], subject)
    if (refusal !== undefined) {
      const consistencyReason = this.#notAtRest(subject, refusal)
      return { result: await work(), consistency: 'crash', consistencyReason }
    }
    let reason: string | null
    let result: Result
    try {
      faultPoint('quiesce.begun')
      reason = await this.#before(subject, signal)
      faultPoint('quiesce.at-rest')
      result = await work()
      faultPoint('quiesce.cloned')
    } catch (error) {
      await this.release(subject)
      throw error
    }
    // A guest that could not be woken may have woken by itself before the last clone was made.
    const failure = await this.release(subject)
    faultPoint('quiesce.released')
    reason ??= failure
    return { result, consistency: reason === null ? 'quiesced' : 'crash', consistencyReason: reason }
  }

  /** Runs `after`. Never fails. @returns what went wrong */
  async release(subject: HookSubject): Promise<string | null> {
    const { after } = this.#options
    if (after === undefined) return null
    try {
      // Without a signal: a guest must not stay at rest because nobody waits for the answer.
      await this.#run('after', after, subject)
      return null
    } catch (error) {
      this.#log.error(
        { vm: subject.vm, hook: 'after', err: error },
        'the hook quiesce.after failed: the guest may still be at rest, look after it now',
      )
      return describe(error)
    }
  }

  /** @returns why the guest is not at rest; null when it is */
  async #before(subject: HookSubject, signal: AbortSignal | undefined): Promise<string | null> {
    const { before } = this.#options
    if (before === undefined) return 'there is no hook quiesce.before'
    try {
      await this.#run('before', before, subject, signal)
      return null
    } catch (error) {
      if (!(error instanceof DiskferryError) || error.code !== 'QUIESCE_FAILED') throw error
      return this.#notAtRest(subject, error)
    }
  }

  /** @returns the reason @throws QUIESCE_FAILED when the guest has to be at rest */
  #notAtRest({ vm }: HookSubject, error: DiskferryError): string {
    if (this.#options.required) {
      throw new DiskferryError(
        'QUIESCE_FAILED',
        `no snapshot of VM ${vm} is taken, because quiesce.required is set and its guest could not be brought to rest: ${error.message}`,
        { cause: error },
      )
    }
    this.#log.warn(
      { vm, hook: 'before', err: error },
      'the guest could not be brought to rest: the snapshot is taken all the same, as after a power cut',
    )
    return error.message
  }

  async #run(
    hook: 'before' | 'after',
    template: readonly string[],
    subject: HookSubject,
    signal?: AbortSignal,
  ): Promise<void> {
    const argv = hookArguments(template, subject)
    const { timeoutMs } = this.#options
    const { ms, output } = await runHook({ name: `quiesce.${hook}`, argv, timeoutMs }, signal)
    this.#log.info({ vm: subject.vm, hook, ms, output }, `hook quiesce.${hook} done`)
  }
}

/** Why the arguments of one of these hooks can't be filled in. */
function refusedArguments(
  hooks: readonly (readonly string[] | undefined)[],
  subject: HookSubject,
): DiskferryError | undefined {
  try {
    for (const template of hooks) hookArguments(template ?? [], subject)
    return undefined
  } catch (error) {
    if (error instanceof DiskferryError) return error
    throw error
  }
}
