/** A skip needs both: the manifest's word, and the mount's refusal. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BackendManifest, StorageBackend } from 'diskferry/core'
import type { Check, CheckResult } from '../../conformance/check.ts'
import { attempt, FILESYSTEM_FEATURES } from '../../conformance/features.ts'
import { Disk } from '../../conformance/guest/disk.ts'
import { runCheck } from '../../conformance/run-check.ts'
import { openSuite } from '../../conformance/suite.ts'
import { storageTest } from '../support/storage-test.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { altered, loadFactory } from './support.ts'

const REASON = 'this filesystem was made in 1987'

async function outcomeOf(
  check: Pick<Check, 'needs' | 'run'>,
  unsupported: BackendManifest['unsupported'],
): Promise<CheckResult> {
  await using directory = await temporaryDirectory('features')
  const factory = await loadFactory('xfs')
  const backend = (): StorageBackend => {
    const made = factory({})
    return altered(made, { manifest: { ...made.manifest, ...(unsupported && { unsupported }) } })
  }
  const suite = await openSuite({ backend, directory: directory.path })
  return runCheck(suite, 'test', { name: 'a check', ...check })
}

const needsDeduplication: Pick<Check, 'needs' | 'run'> = {
  needs: ['deduplicate'],
  run: () =>
    attempt('deduplicate', () => {
      const error = new Error('EOPNOTSUPP: ioctl(FIDEDUPERANGE)')
      return Promise.reject(Object.assign(error, { code: 'EOPNOTSUPP', errno: -95 }))
    }),
}

test("a check is skipped with the manifest's reason when the mount refuses what the manifest names", async () => {
  const result = await outcomeOf(needsDeduplication, { deduplicate: REASON })
  assert.equal(result.outcome, 'skipped')
  assert.equal(result.reason, `the manifest of xfs says of deduplicate: ${REASON}`)
})

test('a check fails when the mount refuses what the manifest does not name', async () => {
  for (const unsupported of [undefined, {}, { 'punch-hole': REASON }]) {
    const result = await outcomeOf(needsDeduplication, unsupported)
    assert.equal(result.outcome, 'failed')
    assert.match(
      result.reason ?? '',
      /refuses deduplicate: EOPNOTSUPP.*manifest\.unsupported\['deduplicate'\]/,
    )
  }
})

test('a check runs when the mount can do what the manifest calls unsupported', async () => {
  const unsupported = Object.fromEntries(FILESYSTEM_FEATURES.map((feature) => [feature, REASON]))
  const result = await outcomeOf({ needs: ['punch-hole'], run: async () => undefined }, unsupported)
  assert.equal(result.outcome, 'passed')
})

test('a check that does not say what it needs is not skipped', async () => {
  const result = await outcomeOf({ run: needsDeduplication.run }, { deduplicate: REASON })
  assert.equal(result.outcome, 'failed')
})

test('any other error of an operation is a failure, whatever the manifest says', async () => {
  const check: Pick<Check, 'needs' | 'run'> = {
    needs: ['punch-hole'],
    run: () => attempt('punch-hole', () => Promise.reject(new Error('EIO: fallocate'))),
  }
  const result = await outcomeOf(check, { 'punch-hole': REASON })
  assert.equal(result.outcome, 'failed')
  assert.equal(result.reason, 'EIO: fallocate')
})

test('a check that does not end in time fails, and says so', async () => {
  await using directory = await temporaryDirectory('features')
  const suite = await openSuite({
    backend: await loadFactory('xfs'),
    directory: directory.path,
    timeLimit: 1,
  })
  const result = await runCheck(suite, 'test', {
    name: 'waits for ever',
    run: ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  })
  assert.equal(result.outcome, 'failed')
  assert.match(result.reason ?? '', /not done after its time limit of 1 s/)
})

test('a check that does not even notice that its time is over is left behind', async () => {
  await using directory = await temporaryDirectory('features')
  const suite = await openSuite({
    backend: await loadFactory('xfs'),
    directory: directory.path,
    timeLimit: 1,
  })
  const result = await runCheck(suite, 'test', { name: 'hangs', run: () => new Promise(() => undefined) })
  assert.equal(result.outcome, 'failed')
  assert.match(result.reason ?? '', /not done after its time limit of 1 s: the backend went on for 10 s/)
})

storageTest('ext4', 'what a mount refuses is told from other errors', async ({ mount }) => {
  const disk = await Disk.create(`${mount}/disk.img`)
  await disk.fill(0, 64 * 1024, 1)
  const refused = { name: 'FeatureRefused' }
  await assert.rejects(disk.relocate(0, 4096), { ...refused, feature: 'deduplicate' })
  await assert.rejects(disk.shareWithin(0, 8192, 4096), { ...refused, feature: 'clone-range' })
  await disk.fallocate('punch-hole', 0, 4096)
  await assert.rejects(disk.fallocate('allocate', 0, 2 ** 50), { code: 'EFBIG' })
})
