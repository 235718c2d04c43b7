import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { LaterTries } from '../../../core/snapshots/later-tries.ts'
import { deferred } from '../../support/deferred.ts'

it('what is put off is tried until it is done, with longer pauses, for each VM by itself', async () => {
  const times = new Map<string, number[]>()
  const done = deferred<void>()
  const tries = new LaterTries(
    async (vmId) => {
      const known = [...(times.get(vmId) ?? []), performance.now()]
      times.set(vmId, known)
      if (vmId === 'slow' && known.length === 4) done.resolve()
      return known.length === (vmId === 'slow' ? 4 : 1)
    },
    { firstPauseMs: 20, longestPauseMs: 60 },
  )
  for (const vmId of ['slow', 'quick', 'slow']) tries.add(vmId)
  // The pauses keep no program alive.
  const alive = setInterval(() => undefined, 1_000)
  await done.promise
  clearInterval(alive)
  await delay(100)
  assert.equal(times.get('quick')?.length, 1)
  const slow = times.get('slow')!
  assert.equal(slow.length, 4)
  for (const [index, least] of [40, 60, 60].entries())
    assert.ok(slow[index + 1]! - slow[index]! > least - 2, slow.join(' '))
})

it('what is added during an attempt is tried once more, and nothing after a stop, which waits', async () => {
  const first = deferred<void>()
  let attempts = 0
  const tries = new LaterTries(
    async () => {
      attempts += 1
      if (attempts === 1) tries.add('vm')
      if (attempts === 2) {
        first.resolve()
        await delay(50)
        attempts += 10
      }
      return true
    },
    { firstPauseMs: 1 },
  )
  tries.add('vm')
  const alive = setInterval(() => undefined, 1_000)
  await first.promise
  clearInterval(alive)
  await tries.stop()
  assert.equal(attempts, 12)
  tries.add('vm')
  await delay(20)
  assert.equal(attempts, 12)
})
