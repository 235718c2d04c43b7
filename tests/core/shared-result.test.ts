import assert from 'node:assert/strict'
import { it } from 'node:test'
import { SharedResult } from '../../core/shared-result.ts'
import { deferred } from '../support/deferred.ts'

it('who asks while it is under way gets that result, and so does who asks a moment after', async (t) => {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const ends = [deferred<string>(), deferred<string>()]
  let begun = 0
  const shared = new SharedResult(() => ends[begun++]!.promise, 1_000)
  const asked = [shared.get()]
  now = 30_000
  asked.push(shared.get())
  ends[0]!.resolve('first')
  assert.deepEqual(await Promise.all(asked), ['first', 'first'])
  now = 30_999
  assert.equal(await shared.get(), 'first')
  now = 31_000
  const next = shared.get()
  ends[1]!.resolve('second')
  assert.equal(await next, 'second')
  assert.equal(begun, 2)
})

it('a failure is shared and kept in the same way, and is not for good', async (t) => {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  let begun = 0
  const shared = new SharedResult(async () => {
    begun += 1
    if (begun === 1) throw new Error('no database')
    return begun
  })
  const outcomes = await Promise.allSettled([shared.get(), shared.get()])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  await assert.rejects(shared.get(), /no database/)
  assert.equal(begun, 1)
  now = 1_000
  assert.equal(await shared.get(), 2)
})
