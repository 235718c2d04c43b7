import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { MountWatch, type MountWatchOptions } from '../../../core/mounts/mount-watch.ts'
import { isNotResponding } from '../../../core/mounts/not-responding.ts'
import { deferred } from '../../support/deferred.ts'
import { SILENT } from '../../support/silent-log.ts'
import { type SilentServer, silentServer } from './silent-server.ts'

const PATIENCE_MS = 300
/** As often as the watch asks while something is under way, and its patience, and some more. */
const NOTICED_MS = 2000 + PATIENCE_MS + 5000
const AT_ONCE_MS = PATIENCE_MS / 2
const MOUNT = { mountPoint: '/OVS/Repositories/r1', filesystem: 'nfs4', source: 'server:/r1' }

function watchOver(ask: () => Promise<unknown>, options: Partial<MountWatchOptions> = {}): MountWatch {
  return new MountWatch(MOUNT, { patienceMs: PATIENCE_MS, log: SILENT, ask, ...options })
}

/** Milliseconds until the promise is refused. */
async function refused(promise: Promise<unknown>): Promise<number> {
  const began = performance.now()
  await assert.rejects(promise, isNotResponding)
  return performance.now() - began
}

/** An operation of one call that does not return while the server is silent, and is abandoned. */
async function abandon(watch: MountWatch, server: SilentServer): Promise<AbortSignal> {
  let seen: AbortSignal | undefined
  const operation = watch.run(async (signal) => {
    seen = signal
    await server.pause()
    await server.call()
  })
  assert.ok((await refused(operation)) < NOTICED_MS)
  return seen!
}

test('an operation on a mount that answers gives its result, or its error', async () => {
  await using server = await silentServer()
  const watch = watchOver(server.call)
  assert.equal(await watch.run(async () => 7), 7)
  assert.equal(await watch.call(async () => 8), 8)
  await assert.rejects(
    watch.run(async () => {
      throw new Error('of the operation')
    }),
    /of the operation/,
  )
  assert.equal(server.calls, 1, 'an answer is good for a second')
})

test('a mount that gives no sign of life is refused after the patience, and at once from then on', async () => {
  await using server = await silentServer()
  const watch = watchOver(server.call)
  await server.pause()
  const started: string[] = []
  const first = await refused(watch.run(async () => void started.push('run')))
  assert.ok(first >= PATIENCE_MS && first < 10 * PATIENCE_MS, `${first} ms`)
  const others = Array.from({ length: 20 }, () => refused(watch.call(async () => void started.push('call'))))
  for (const milliseconds of await Promise.all(others)) assert.ok(milliseconds < AT_ONCE_MS)
  assert.deepEqual(started, [], 'nothing is begun on a silent mount')
  assert.equal(server.calls, 1, 'one call waits for the mount, however many ask')
  await assert.rejects(
    watch.assertAnswers(),
    /'\/OVS\/Repositories\/r1' \(nfs4, server:\/r1\) does not answer: it has not answered for 0.3 s/,
  )
})

test('an operation under way is abandoned when the mount falls silent, and told so by its signal', async () => {
  await using server = await silentServer()
  const watch = watchOver(server.call)
  const signal = await abandon(watch, server)
  assert.ok(signal.aborted && isNotResponding(signal.reason))
  assert.ok(watch.holdsThreads && !watch.idle)
})

test('a mount is used again when it answers, and its recovery told when the last abandoned operation has ended', async () => {
  await using server = await silentServer()
  await using other = await silentServer()
  const recovered = deferred<string>()
  const watch = watchOver(server.call, { onRecovered: recovered.resolve })
  await other.pause()
  const blocked = watch.run(() => other.call())
  await server.pause()
  await refused(blocked)

  await server.resume()
  while (await watch.assertAnswers().then(() => false, isNotResponding)) await delay(20)
  assert.equal(await watch.run(async () => 'works'), 'works')
  assert.ok(watch.holdsThreads, 'the abandoned call is still in the kernel')
  assert.equal(await Promise.race([recovered.promise, delay(AT_ONCE_MS, 'not told')]), 'not told')
  await other.resume()
  assert.equal(await recovered.promise, MOUNT.mountPoint)
  assert.ok(!watch.holdsThreads)
})

test('a pool whose threads are all busy is not taken for the silence of a mount', async () => {
  await using busy = await silentServer()
  await using server = await silentServer()
  const watch = watchOver(server.call)
  await busy.pause()
  // More than the pool has, whose size is 4 unless the environment says otherwise.
  const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4)
  const calls = Array.from({ length: threads }, () => busy.call())
  const answer = watch.run(async () => 'answered')
  assert.equal(await Promise.race([answer, delay(5 * PATIENCE_MS, 'waiting')]), 'waiting')
  // Not by busy.resume(), which needs a thread of the pool itself.
  const writer = openSync(busy.pipe, 'r+')
  await Promise.all(calls)
  closeSync(writer)
  assert.equal(await answer, 'answered')
})

test('an error that says that nobody was reached is silence; any other is an answer', async () => {
  const failing = (code: string, errno: number) => async () => {
    throw Object.assign(new Error(`${code}: statfs`), { code, errno })
  }
  for (const [code, errno] of [
    ['EIO', -5],
    ['ETIMEDOUT', -110],
    ['EHOSTDOWN', -112],
  ] as const) {
    const watch = watchOver(failing(code, errno))
    assert.ok((await refused(watch.run(async () => 1))) < AT_ONCE_MS, 'there is nothing to wait for')
    await assert.rejects(watch.assertAnswers(), new RegExp(`does not answer: ${code}: statfs`))
  }
  for (const [code, errno] of [
    ['Unknown system error -116', -116],
    ['EACCES', -13],
    ['ENOENT', -2],
  ] as const) {
    assert.equal(await watchOver(failing(code, errno)).run(async () => 1), 1, code)
  }
})

test('a mount that could not be reached is asked again by itself', async () => {
  let reachable = false
  const recovered = deferred<string>()
  const ask = async () => {
    if (!reachable) throw Object.assign(new Error('EIO: statfs'), { code: 'EIO', errno: -5 })
  }
  const watch = watchOver(ask, { onRecovered: recovered.resolve })
  await refused(watch.run(async () => 1))
  reachable = true
  assert.equal(await Promise.race([recovered.promise, delay(NOTICED_MS, 'not asked')]), MOUNT.mountPoint)
  assert.equal(await watch.run(async () => 1), 1)
})

test('what has to be done in any case is done on a silent mount too, and not waited for', async () => {
  await using server = await silentServer()
  const watch = watchOver(server.call)
  await abandon(watch, server)
  const before = server.calls
  await watch.release(server.call)
  assert.equal(server.calls, before + 1)
})

test('the failure of what has to be done in any case is told while the mount answers', async () => {
  await using server = await silentServer()
  const failing = async () => {
    throw new Error('of closing')
  }
  await assert.rejects(watchOver(server.call).release(failing), /of closing/)
})

test('32 operations run at once; those that wait are sent away when the mount falls silent', async () => {
  await using server = await silentServer()
  const watch = watchOver(server.call)
  const end = deferred<void>()
  let running = 0
  const operations = Array.from({ length: 40 }, () =>
    watch.run(async () => {
      running += 1
      await end.promise
    }),
  )
  const impatient = watch.run(async () => assert.fail('it was not its turn'), AbortSignal.timeout(50))
  await assert.rejects(impatient, { name: 'TimeoutError' })
  assert.equal(running, 32)
  await server.pause()
  assert.ok((await Promise.all(operations.map(refused))).every((milliseconds) => milliseconds < NOTICED_MS))
  end.resolve()
  await server.resume()
  while (await watch.assertAnswers().then(() => false, isNotResponding)) await delay(20)
  await Promise.all(Array.from({ length: 40 }, () => watch.run(async () => undefined)))
  assert.equal(running, 32, 'an operation that was sent away was begun all the same')
})
