import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DiskferryError } from 'diskferry/core'
import { generateHistory } from '../../conformance/history/generate-history.ts'
import { shrinkHistory } from '../../conformance/history/shrink-history.ts'
import { formatSteps, parseSteps, type Step } from '../../conformance/history/steps.ts'
import { storageTest } from '../support/storage-test.ts'
import { altered, loadFactory, runChecks } from './support.ts'

const HISTORIES = 'over random histories of a disk, its snapshots and their blocks, every difference is right'

describe('random histories', () => {
  it('are the same for the same seed and others for another one', () => {
    assert.deepEqual(generateHistory(7), generateHistory(7))
    assert.notDeepEqual(generateHistory(7), generateHistory(8))
  })

  it('have every kind of step among them, several snapshots, and can be read back as they are printed', () => {
    const kinds = new Set<string>()
    for (let seed = 0; seed < 50; seed++) {
      const steps = generateHistory(seed)
      assert.deepEqual(parseSteps(formatSteps(steps)), steps)
      assert.ok(steps.filter((step) => step.do === 'snapshot').length >= 4)
      for (const step of steps) kinds.add(step.do)
    }
    assert.equal(kinds.size, 15)
  })

  it('are refused when they are no list of steps', () => {
    for (const [text, message] of [
      ['{', /not JSON/],
      ['{}', /an array of 1 to/],
      ['[]', /an array of 1 to/],
      ['[null]', /step 0 .* is not an object/],
      ['[{"do":"sync"},{"do":"dance"}]', /step 1 .* does "dance", which is none of write/],
      ['[{"do":"constructor"}]', /does "constructor"/],
      ['[{"do":"truncate","size":-1}]', /has no size/],
      ['[{"do":"truncate","size":1e15}]', /has no size/],
      ['[{"do":"write","start":0,"length":1}]', /has no generation/],
      ['[{"do":"relocate","file":"snapshot","start":0,"length":1}]', /has no file/],
    ] as const) {
      assert.throws(
        () => parseSteps(text),
        (error) => error instanceof DiskferryError && error.code === 'USAGE' && message.test(error.message),
        text,
      )
    }
  })
})

describe('a failing history', () => {
  const numbers = Array.from({ length: 60 }, (_, index) => index)

  it('is made as short as it can be', async () => {
    const fails = async (items: readonly number[]) => items.includes(13) && items.includes(41)
    assert.deepEqual(await shrinkHistory(numbers, fails, 60_000), [13, 41])
  })

  it('keeps the order, and everything when nothing can be left out', async () => {
    const few = [3, 1, 2]
    assert.deepEqual(await shrinkHistory(few, async (items) => items.length === 3, 60_000), few)
    const fails = async (items: readonly number[]) => items.filter((item) => item % 20 === 5).length === 3
    assert.deepEqual(await shrinkHistory(numbers, fails, 60_000), [5, 25, 45])
  })

  it('is given as it is when the time for it is over', async () => {
    assert.deepEqual(await shrinkHistory(numbers, async () => true, 0), numbers)
  })
})

storageTest(
  'xfs',
  'a fault that few histories meet is found, told in a few steps, and met again by those',
  async ({ mount, t }) => {
    const honest = await loadFactory('xfs')
    /** Forgets zeros that lie far from the start. */
    const backend = () => {
      const inner = honest({})
      return altered(inner, {
        async diff(base, target, options, signal) {
          const { ranges, ...rest } = await inner.diff(base, target, options, signal)
          async function* seen() {
            for await (const batch of ranges)
              yield batch.filter(({ kind, start }) => kind === 'data' || start < 700_000)
          }
          return { ...rest, ranges: seen() }
        },
      })
    }
    const seeds = Array.from({ length: 20 }, (_, index) => index + 1)
    const [result] = await runChecks({ backend, directory: mount, seeds }, [HISTORIES])
    assert.equal(result?.outcome, 'failed')
    const reason = result.reason ?? ''
    assert.match(
      reason,
      /^seed \d+: step \d+, \{.*\}: diff\(.* a change was missed: byte \d+ reads as zero now/,
    )
    const replay: readonly Step[] = parseSteps(reason.slice(reason.indexOf('\n[')))
    t.diagnostic(`${replay.length} steps`)
    assert.ok(replay.length <= 6, reason)

    const [again] = await runChecks({ backend, directory: mount, replay }, [HISTORIES])
    assert.match(again?.reason ?? '', /^the given history: step .* a change was missed/)
    const [honestly] = await runChecks({ backend: honest, directory: mount, replay }, [HISTORIES])
    assert.equal(honestly?.outcome, 'passed')
  },
)
