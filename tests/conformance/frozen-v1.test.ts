/** A plugin that was written for version 1 of the contract is loaded, and conforms, for ever. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { conformance } from '../../conformance/index.ts'
import { BackendRegistry } from '../../core/backends/backend-registry.ts'
import { loadPlugins } from '../../core/backends/plugin-loader.ts'
import type { StorageBackend } from '../../core/storage-backend.ts'
import { storageTest } from '../support/storage-test.ts'

const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url))

/** As the configuration names it, and as the server would use it: behind the core's own checks. */
async function loadFrozen(difference: string): Promise<StorageBackend> {
  const registry = new BackendRegistry()
  const errors: string[] = []
  const log = {
    info: () => undefined,
    warn: () => undefined,
    error: (_: object, text: string) => void errors.push(text),
  }
  const plugin = { module: './backend-v1/backend.mjs', options: { difference } }
  await loadPlugins(registry, [plugin], FIXTURES, log)
  assert.deepEqual(errors, [])
  const backend = registry.get('frozen-v1')
  assert.ok(backend !== undefined)
  return backend
}

test('the frozen plugin of version 1 is registered under its name', async () => {
  const { manifest } = await loadFrozen('physical')
  assert.equal(manifest.apiVersion, 1)
  assert.equal(manifest.difference, 'physical')
})

for (const difference of ['physical', 'content']) {
  storageTest(
    'xfs',
    `the frozen plugin of version 1 conforms, with differences by ${difference}`,
    async ({ mount, t }) => {
      const backend = await loadFrozen(difference)
      await conformance({ backend, directory: mount, seeds: [1, 2], extents: 2000 }, t)
    },
  )
}
