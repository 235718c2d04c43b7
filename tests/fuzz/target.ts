import type { ErrorCode } from '../../core/errors.ts'

/** What `run` gives for an input that it refused without an error. */
export const REFUSED = Symbol('refused')

/** Something that reads bytes of strangers. */
export interface FuzzTarget {
  /** Valid inputs, made by the real tools where there are any. */
  corpus(): Promise<readonly Buffer[]>
  /** What else this input is made of. */
  readonly words?: readonly string[]
  /** The only errors that it may refuse an input with. */
  readonly refusals: readonly ErrorCode[]
  /** Reads one input, and throws also when what came out of it can't be. @returns REFUSED, or anything else */
  run(input: Buffer): unknown
}
