import assert from 'node:assert/strict'
import type { BackendFactory, StorageBackend } from 'diskferry/core'
import { type CheckResult, type ConformanceOptions, runConformance } from '../../conformance/index.ts'

export async function loadFactory(filesystem: string): Promise<BackendFactory> {
  const module = (await import(`../../backends/${filesystem}/index.ts`)) as {
    readonly default: BackendFactory
  }
  return module.default
}

/** The same backend with some operations or the manifest exchanged. */
export function altered(backend: StorageBackend, changes: Partial<StorageBackend>): StorageBackend {
  return {
    manifest: backend.manifest,
    checkCompatibility: (...args) => backend.checkCompatibility(...args),
    clone: (...args) => backend.clone(...args),
    extentMap: (...args) => backend.extentMap(...args),
    diff: (...args) => backend.diff(...args),
    ...changes,
  }
}

/** Only the checks of these names. @throws when a name is none, so that a renamed check is not left out */
export async function runChecks(
  options: Omit<ConformanceOptions, 'only'>,
  names: readonly string[],
): Promise<readonly CheckResult[]> {
  const only = new RegExp(
    `^(?:${names.map((name) => name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|')})$`,
  )
  const { results } = await runConformance({ ...options, only })
  const found: CheckResult[] = []
  for await (const result of results) found.push(result)
  assert.deepEqual(found.map(({ name }) => name).sort(), [...names].sort())
  return found
}
