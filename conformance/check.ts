import type { FilesystemFeature } from 'diskferry/core'
import type { CheckContext } from './check-context.ts'

/** One thing that a backend must do, as data. */
export interface Check {
  /** A sentence about what is right, unique in the suite. */
  readonly name: string
  /** What the mount must be able to do. Skipped where it can't and the manifest says so. */
  readonly needs?: readonly FilesystemFeature[]
  /** @throws whatever is wrong */
  run(context: CheckContext): Promise<void>
}

export interface CheckGroup {
  readonly name: string
  readonly checks: readonly Check[]
}

export type Outcome = 'passed' | 'failed' | 'skipped'

export interface CheckResult {
  readonly group: string
  readonly name: string
  readonly outcome: Outcome
  /** Of a skip, the manifest's reason; of a failure, what is wrong. */
  readonly reason?: string
  /** Of a failure, what was thrown. */
  readonly error?: unknown
  readonly seconds: number
  /** What was seen that is no failure, a sentence each. */
  readonly notes: readonly string[]
  /** Bytes in 4 KiB blocks that differ, and bytes reported, over all differences of the check. */
  readonly differingBytes: number
  readonly reportedBytes: number
}
