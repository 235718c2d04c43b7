import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { WorkLimit } from '../../../api/auth/work-limit.ts'
import { DiskferryError } from '../../../core/errors.ts'

interface Gate {
  readonly opened: Promise<void>
  readonly open: () => void
}

function gate(): Gate {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

function hasCode(code: string) {
  return (error: unknown) => error instanceof DiskferryError && error.code === code
}

describe('a work limit', () => {
  it('never runs more than its number at once, and all in the order they came', async () => {
    const limit = new WorkLimit(2, 100)
    const started: number[] = []
    let active = 0
    let most = 0
    const work = Array.from({ length: 50 }, (_, index) =>
      limit.run(async () => {
        started.push(index)
        most = Math.max(most, ++active)
        await new Promise(setImmediate)
        active--
        return index
      }),
    )
    const order = Array.from({ length: 50 }, (_, index) => index)
    assert.deepEqual(await Promise.all(work), order)
    assert.deepEqual(started, order)
    assert.equal(most, 2)
  })

  it('turns away what does not fit into the queue', async () => {
    const limit = new WorkLimit(1, 1)
    const { opened, open } = gate()
    const running = limit.run(() => opened)
    const waiting = limit.run(async () => 'done')
    await assert.rejects(
      limit.run(async () => {}),
      hasCode('LOGIN_BUSY'),
    )
    open()
    await running
    assert.equal(await waiting, 'done')
  })

  it('lets a waiter leave when its client goes away, and never runs its work', async () => {
    const limit = new WorkLimit(1, 1)
    const { opened, open } = gate()
    const running = limit.run(() => opened)
    const client = new AbortController()
    const leaving = limit.run(async () => assert.fail('it must not run'), client.signal)
    client.abort()
    await assert.rejects(leaving, hasCode('ABORTED'))
    const next = limit.run(async () => 'took the free place')
    open()
    await running
    assert.equal(await next, 'took the free place')
  })

  it('does not start for a client that is already gone', async () => {
    const limit = new WorkLimit(1, 1)
    await assert.rejects(
      limit.run(async () => assert.fail('it must not run'), AbortSignal.abort()),
      hasCode('ABORTED'),
    )
  })

  it('goes on after work that fails', async () => {
    const limit = new WorkLimit(1, 10)
    const failing = limit.run(() => Promise.reject(new Error('broken')))
    const next = limit.run(async () => 'done')
    await assert.rejects(failing, /broken/)
    assert.equal(await next, 'done')
  })
})
