import type { ErrorCode } from '../../core/errors.ts'

/** Something that reads bytes of strangers. */
export interface FuzzTarget {
  /** Valid inputs, made by the real tools where there are any. */
  corpus(): Promise<readonly Buffer[]>
  /** What else this input is made of. */
  readonly words?: readonly string[]
  /** The only errors that it may refuse an input with. */
  readonly refusals: readonly ErrorCode[]
  /** Reads one input, and throws also when what came out of it can't be. */
  run(input: Buffer): unknown
}
