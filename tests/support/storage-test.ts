import { type TestContext, test } from 'node:test'
import { requiredStorage, type StorageKind, type StorageName, storageKind } from '../storage/matrix.ts'
import {
  type LoopFilesystem,
  type LoopFilesystemOptions,
  mountFilesystem,
  StorageUnavailable,
} from './loop-filesystem.ts'

export interface StorageTestContext {
  /** Mounted for this test alone, and unmounted after it. */
  readonly filesystem: LoopFilesystem
  /** Its mount point. */
  readonly mount: string
  readonly kind: StorageKind
  readonly t: TestContext
  /** Aborted when the test runs out of time. */
  readonly signal: AbortSignal
}

export interface StorageTestOptions extends LoopFilesystemOptions {
  /** Two minutes when left out. */
  readonly timeoutMs?: number
}

const DEFAULT_TIMEOUT_MS = 120_000

/**
 * A test on a real filesystem of its own. Where it can't be mounted the test is skipped with the reason, or
 * fails when `REQUIRE_STORAGE` names that filesystem.
 */
export function storageTest(
  storage: StorageName | StorageKind,
  sentence: string,
  body: (context: StorageTestContext) => Promise<void> | void,
  { timeoutMs = DEFAULT_TIMEOUT_MS, ...options }: StorageTestOptions = {},
): void {
  const kind = typeof storage === 'string' ? storageKind(storage) : storage
  test(`${kind.name}: ${sentence}`, { timeout: timeoutMs }, async (t) => {
    const filesystem = await mountOrSkip(kind, t, options)
    if (filesystem === undefined) return
    await using _unmounted = filesystem
    await body({ filesystem, mount: filesystem.mountPoint, kind, t, signal: t.signal })
  })
}

/**
 * For tests that share a filesystem or mount several: undefined when the test has been skipped.
 * @throws when `REQUIRE_STORAGE` names a filesystem that can't be mounted here.
 */
export async function mountOrSkip(
  kind: StorageKind,
  t: TestContext,
  options: LoopFilesystemOptions = {},
): Promise<LoopFilesystem | undefined> {
  try {
    return await mountFilesystem(kind, options)
  } catch (error) {
    if (!(error instanceof StorageUnavailable)) throw error
    const { REQUIRE_STORAGE } = process.env
    if (requiredStorage(REQUIRE_STORAGE).has(kind.name)) {
      throw new Error(`REQUIRE_STORAGE asks for ${kind.name}, but ${error.message}`, { cause: error })
    }
    t.skip(error.message)
    return undefined
  }
}
