import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { allowedProcessors, processorOf } from './processors.ts'

test('machines are spread over the processors of a list', () => {
  const numbers = [0, 1, 2, 3, 4, 5, 6]
  assert.deepEqual(
    numbers.map((number) => processorOf('0-2,5,8-9', number)),
    [0, 1, 2, 5, 8, 9, 0],
  )
  for (let round = 0; round < 100; round++) assert.ok([4, 6].includes(processorOf('4,6')))
})

test('the list is that of the processors that this process may use', async () => {
  const list = await allowedProcessors()
  const all = Array.from({ length: availableParallelism() }, (_, number) => processorOf(list, number))
  assert.equal(new Set(all).size, availableParallelism())
  assert.equal(processorOf(list, all.length), all[0])
})
