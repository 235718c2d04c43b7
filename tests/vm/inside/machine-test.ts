import { type TestContext, test } from 'node:test'
import type { MachineKind, MachineKindName } from './kinds.ts'
import { type MachineMount, type MountKindOptions, mountKind } from './mount-kind.ts'

export interface MachineTestContext {
  /** Mounted for this test alone, and unmounted after it. */
  readonly filesystem: MachineMount
  /** Its mount point. */
  readonly mount: string
  readonly kind: MachineKind
  readonly t: TestContext
  /** Aborted when the test runs out of time. */
  readonly signal: AbortSignal
}

export interface MachineTestOptions extends MountKindOptions {
  /** Five minutes when left out. */
  readonly timeoutMs?: number
}

const DEFAULT_TIMEOUT_MS = 300_000

/** A test inside the test machine, on a filesystem of its own. It is never skipped. */
export function machineTest(
  name: MachineKindName | MachineKind,
  sentence: string,
  body: (context: MachineTestContext) => Promise<void> | void,
  { timeoutMs = DEFAULT_TIMEOUT_MS, ...options }: MachineTestOptions = {},
): void {
  test(`${typeof name === 'string' ? name : name.name}: ${sentence}`, { timeout: timeoutMs }, async (t) => {
    await using filesystem = await mountKind(name, options)
    await body({ filesystem, mount: filesystem.mountPoint, kind: filesystem.kind, t, signal: t.signal })
  })
}
