import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fuzzMilliseconds, fuzzSeed, LEAST_INPUTS } from './budget.ts'
import { runTarget } from './run-target.ts'

const NAMES = [
  'berkeley-db',
  'pickle',
  'pickle-any',
  'vm.cfg',
  '.ovsmeta',
  'configuration',
  'snapshot.json',
  'snapshot.lease.json',
  'Range and conditions',
]
/** The rest is for the routes. */
const SHARE = 0.7 / NAMES.length

describe('whatever is read, there is no crash, no hang, no unknown error and no growth', () => {
  for (const name of NAMES) {
    it(name, { timeout: 120_000 + 2 * fuzzMilliseconds(SHARE) }, async (t) => {
      const seed = fuzzSeed()
      const { inputs, taken, growth } = await runTarget(name, seed, fuzzMilliseconds(SHARE))
      t.diagnostic(`seed ${seed}: ${inputs} inputs, ${taken} of them taken, memory ${growth} bytes`)
      assert.ok(inputs >= LEAST_INPUTS && taken > 0, `${inputs} inputs, ${taken} of them taken`)
    })
  }
})
