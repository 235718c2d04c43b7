/** The suite itself is tested: each backend that is broken on purpose must fail the check that is there to find it. */

import assert from 'node:assert/strict'
import { closeSync } from 'node:fs'
import type { BackendFactory } from 'diskferry/core'
import { CHECK_GROUPS, runConformance } from '../../conformance/index.ts'
import { openDescriptors } from '../../conformance/open-descriptors.ts'
import { storageTest } from '../support/storage-test.ts'
import type { BrokenBackend } from './break-backend.ts'
import { BROKEN_CONDUCT, LYING_MANIFESTS, WORTHLESS } from './broken-conduct.ts'
import { BROKEN_CLONES, BROKEN_DIFFERENCES, BROKEN_MAPS } from './broken-operations.ts'
import { loadFactory, runChecks } from './support.ts'

const FAMILIES: Readonly<Record<string, readonly BrokenBackend[]>> = {
  maps: BROKEN_MAPS,
  differences: BROKEN_DIFFERENCES,
  clones: BROKEN_CLONES,
  conduct: BROKEN_CONDUCT,
  manifests: LYING_MANIFESTS,
}
const EVERY = Object.values(FAMILIES).flat()
/** Fewer than a real run, because a broken backend shows it on few. */
const SETTINGS = { extents: 2000, seeds: [] }

for (const [family, backends] of Object.entries(FAMILIES)) {
  storageTest('xfs', `the suite finds what is wrong with ${family}`, async ({ mount, t }) => {
    const honest = await loadFactory('xfs')
    for (const { what, breakIt, fails, says } of backends) {
      await t.test(`a backend that ${what} fails: ${fails}`, async () => {
        const backend: BackendFactory = (options) => breakIt(honest(options))
        const [result] = await runChecks({ backend, directory: mount, ...SETTINGS }, [fails])
        assert.equal(result?.outcome, 'failed', 'it passed')
        assert.match(result.reason ?? '', says)
      })
    }
    closeDescriptorsBelow(mount)
  })
}

storageTest('xfs', 'every check of the suite is failed by some backend', async ({ mount, t }) => {
  const honest = await loadFactory('xfs')
  const failed = new Set(EVERY.map(({ fails }) => fails))
  for (const { what, breakIt } of WORTHLESS) {
    const backend: BackendFactory = (options) => breakIt(honest(options))
    const { results } = await runConformance({
      backend,
      directory: mount,
      ...SETTINGS,
      seeds: [1],
      timeLimit: 5,
    })
    let count = 0
    for await (const { name, outcome } of results) {
      if (outcome !== 'failed') continue
      failed.add(name)
      count++
    }
    t.diagnostic(`a backend that ${what} fails ${count} checks`)
  }
  const never = CHECK_GROUPS.flatMap(({ checks }) => checks).filter(({ name }) => !failed.has(name))
  assert.deepEqual(
    never.map(({ name }) => name),
    [],
  )
})

/** What backends leaked on purpose would keep the filesystem mounted. */
function closeDescriptorsBelow(mount: string): void {
  for (const [number, target] of openDescriptors()) if (target.startsWith(mount)) closeSync(Number(number))
}
