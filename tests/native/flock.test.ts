import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { acquireFlock } from '../../native/flock.ts'

describe('a file lock', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'diskferry-flock-'))
  })
  after(() => rm(folder, { recursive: true }))

  it('is held by one at a time and handed on when it is given up', async () => {
    const file = join(folder, 'one')
    const first = await acquireFlock(file)
    let second: AsyncDisposable | undefined
    const waiting = acquireFlock(file).then((lock) => {
      second = lock
    })
    await assert.rejects(acquireFlock(file, AbortSignal.timeout(50)), { name: 'TimeoutError' })
    assert.equal(second, undefined)
    await first[Symbol.asyncDispose]()
    await waiting
    await second![Symbol.asyncDispose]()
  })

  it('holds against another process, and is free when that process is killed', async () => {
    const file = join(folder, 'two')
    const other = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo held; sleep 60'], { detached: true })
    await once(other.stdout, 'data')
    await assert.rejects(acquireFlock(file, AbortSignal.timeout(50)), { name: 'TimeoutError' })
    process.kill(-other.pid!, 'SIGKILL')
    const lock = await acquireFlock(file, AbortSignal.timeout(10_000))
    await lock[Symbol.asyncDispose]()
  })

  it('that was waited for too long, and comes when nobody waits any more, is given up', async () => {
    const file = join(folder, 'late')
    await assert.rejects(acquireFlock(file, abortedDuringTheCall()), { name: 'AbortError' })
    const lock = await acquireFlock(file, AbortSignal.timeout(10_000))
    await lock[Symbol.asyncDispose]()
  })

  it('is not looked for through a link, and what is no regular file is not opened', async () => {
    const target = join(folder, 'target')
    await symlink(target, join(folder, 'link'))
    await assert.rejects(acquireFlock(join(folder, 'link')), /it is a link, or no regular file/)
    await assert.rejects(access(target), { code: 'ENOENT' })
    execFileSync('mkfifo', [join(folder, 'pipe')])
    await assert.rejects(acquireFlock(join(folder, 'pipe')), /it is a link, or no regular file/)
    await assert.rejects(acquireFlock('/dev/full'), /it is a link, or no regular file/)
  })

  it('in a folder that is not there fails with the path', async () => {
    await assert.rejects(acquireFlock(join(folder, 'missing', 'lock')), { code: 'ENOENT' })
  })
})

/** Not aborted when it is looked at before the call, aborted when it is looked at after it. */
function abortedDuringTheCall(): AbortSignal {
  const controller = new AbortController()
  const { signal } = controller
  const look = signal.throwIfAborted.bind(signal)
  signal.throwIfAborted = () => {
    look()
    controller.abort()
  }
  return signal
}
