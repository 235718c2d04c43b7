import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeSoak, runSoak } from './run-soak.ts'

/** Short, for every run of the suite; `npm run soak -- --minutes 10` is the real one. */
const { SOAK_SECONDS = '20' } = process.env

for (const storage of ['xfs', 'btrfs'] as const) {
  test(`${storage}: a soak of ${SOAK_SECONDS} s finds nothing wrong`, { timeout: 300_000 }, async (t) => {
    const report = await runSoak({ storage, seconds: Number(SOAK_SECONDS), seed: 2, signal: t.signal })
    t.diagnostic(describeSoak(report))
    assert.equal(report.wrongBytes, 0)
    assert.ok(report.restores > 0 && report.kills > 0, 'nothing was restored, or nothing was killed')
  })
}
