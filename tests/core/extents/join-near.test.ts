import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ByteRange, joinNear, NEAR_BYTES } from '../../../core/extents/join-near.ts'

/** In one batch and in many, one of them empty: that must make no difference. */
async function joined(ranges: readonly ByteRange[]): Promise<ByteRange[]> {
  const found: ByteRange[] = []
  for await (const range of joinNear([ranges])) found.push(range)
  const again: ByteRange[] = []
  for await (const range of joinNear([[], ...ranges.map((one) => [one])])) again.push(range)
  assert.deepEqual(again, found)
  return found
}

test('ranges are joined over small gaps, and only over those', async () => {
  const far = 10 * NEAR_BYTES
  assert.deepEqual(
    await joined([
      { start: 0, length: 10 },
      { start: 10, length: 10 },
      { start: 20 + NEAR_BYTES, length: 5 },
      { start: far, length: 7 },
      { start: far + 7 + NEAR_BYTES + 1, length: 1 },
    ]),
    [
      { start: 0, length: 25 + NEAR_BYTES },
      { start: far, length: 7 },
      { start: far + 7 + NEAR_BYTES + 1, length: 1 },
    ],
  )
})

test('no ranges are none, and one stays as it is', async () => {
  assert.deepEqual(await joined([]), [])
  assert.deepEqual(await joined([{ start: 5, length: 3 }]), [{ start: 5, length: 3 }])
})
