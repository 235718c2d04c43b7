import assert from 'node:assert/strict'
import { link, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { CheckedBackend } from '../../../core/backends/checked-backend.ts'
import { DiskferryError } from '../../../core/errors.ts'
import type { ChangedRange, Extent } from '../../../core/storage-backend.ts'
import { scriptedBackend } from '../../support/broken-backend.ts'

const SIZE = 10_000

const extent = (start: number, length: number, physicalStart: number | null = 0): Extent => ({
  start,
  length,
  physicalStart,
  unwritten: false,
})
const range = (start: number, length: number, kind: ChangedRange['kind'] = 'data'): ChangedRange => ({
  start,
  length,
  kind,
})

describe('the checked half of a backend', () => {
  let folder = ''
  let file = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'diskferry-checked-'))
    file = join(folder, 'disk')
    await writeFile(file, Buffer.alloc(SIZE))
  })
  after(() => rm(folder, { recursive: true }))

  const violation = (pattern: RegExp) => (error: unknown) => {
    assert.ok(error instanceof DiskferryError, String(error))
    assert.equal(error.code, 'BACKEND_CONTRACT_VIOLATED')
    assert.match(error.message, /^backend scripted /)
    assert.match(error.message, pattern)
    return true
  }

  async function mapped(...batches: Extent[][]): Promise<Extent[]> {
    const found: Extent[] = []
    for await (const batch of new CheckedBackend(scriptedBackend({ extents: batches })).extentMap(file))
      found.push(...batch)
    return found
  }

  async function compared(...batches: ChangedRange[][]): Promise<ChangedRange[]> {
    const found: ChangedRange[] = []
    const { ranges } = await new CheckedBackend(scriptedBackend({ ranges: batches })).diff(file, file, {})
    for await (const batch of ranges) found.push(...batch)
    return found
  }

  it('lets right answers through as they are', async () => {
    const extents = [extent(0, 10), extent(10, 20, null), extent(9000, 1000)]
    assert.deepEqual(await mapped(extents.slice(0, 1), extents.slice(1)), extents)
    const ranges = [range(5, 5), range(10, 5, 'zero')]
    assert.deepEqual(await compared(ranges), ranges)
  })

  const wrong: Readonly<Record<string, readonly [number, number]>> = {
    'a range beyond the end': [9999, 2],
    'an empty range': [20, 0],
    'a negative start': [-1, 5],
    'a fraction': [0.5, 1],
    'a number that is none': [Number.NaN, 1],
    'a length past 2^53': [0, 2 ** 60],
  }
  for (const [what, [start, length]] of Object.entries(wrong)) {
    it(`refuses ${what}, in a map and in a difference`, async () => {
      await assert.rejects(mapped([extent(start, length)]), violation(/extentMap\(\) gave/))
      await assert.rejects(compared([range(start, length)]), violation(/diff\(\) gave/))
    })
  }

  it('refuses ranges that overlap or go back, within a batch and across two', async () => {
    await assert.rejects(mapped([extent(0, 10), extent(9, 5)]), violation(/after one that ends at 10/))
    await assert.rejects(mapped([extent(100, 10)], [extent(0, 5)]), violation(/after one that ends at 110/))
    await assert.rejects(compared([range(0, 10)], [range(5, 10)]), violation(/after one that ends at 10/))
  })

  it('refuses an unknown kind, method and address', async () => {
    await assert.rejects(
      compared([{ ...range(0, 1), kind: 'maybe' as 'data' }]),
      violation(/of kind "maybe"/),
    )
    await assert.rejects(compared([{ ...range(0, 1), physicalStart: -4 }]), violation(/physical start -4/))
    await assert.rejects(mapped([extent(0, 1, 2 ** 60)]), violation(/physical start/))
    const unknownMethod = scriptedBackend({ method: 'guess' as 'content' })
    await assert.rejects(new CheckedBackend(unknownMethod).diff(file, file, {}), violation(/"guess"/))
  })

  it('refuses a clone that is absent, or a second name of its source', async () => {
    const target = join(folder, 'target')
    await assert.rejects(
      new CheckedBackend(scriptedBackend({})).clone(file, target),
      violation(/left no file/),
    )
    const linking = new CheckedBackend(scriptedBackend({ clone: link }))
    await assert.rejects(linking.clone(file, target), violation(/second name/))
  })

  it('refuses a report that contradicts itself', async () => {
    const lying = scriptedBackend({ checkCompatibility: async () => ({ compatible: false, reasons: [] }) })
    const target = { mount: {} as never, trialDirectory: folder }
    await assert.rejects(new CheckedBackend(lying).checkCompatibility(target), violation(/with 0 reasons/))
  })

  it('gives a system error its code, names the backend and keeps the cause', async () => {
    const cause = Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC', errno: -28 })
    const failing = new CheckedBackend(scriptedBackend({ clone: () => Promise.reject(cause) }))
    await assert.rejects(failing.clone(file, join(folder, 'x')), (error: unknown) => {
      assert.ok(error instanceof DiskferryError)
      assert.equal(error.code, 'REPOSITORY_FULL')
      assert.equal(error.cause, cause)
      assert.match(error.message, /backend scripted could not clone/)
      assert.doesNotMatch(error.clientMessage ?? '', new RegExp(folder))
      return true
    })
  })

  it('ends a map at an abort', async () => {
    const controller = new AbortController()
    const backend = new CheckedBackend(scriptedBackend({ extents: [[extent(0, 1)], [extent(1, 1)]] }))
    await assert.rejects(
      async () => {
        for await (const _ of backend.extentMap(file, controller.signal)) controller.abort()
      },
      { code: 'ABORTED' },
    )
  })
})
