import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { acquireFlock, acquireTransientFlock } from '../../native/flock.ts'

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

  it('in a folder that is not there fails with the path', async () => {
    await assert.rejects(acquireFlock(join(folder, 'missing', 'lock')), { code: 'ENOENT' })
  })

  it('on a transient file is held by one at a time, and leaves no file, however many want it', async () => {
    const file = join(folder, 'transient')
    let holders = 0
    let turns = 0
    const worker = async () => {
      for (let turn = 0; turn < 20; turn += 1) {
        await using _lock = await acquireTransientFlock(file)
        holders += 1
        assert.equal(holders, 1)
        await new Promise(setImmediate)
        holders -= 1
        turns += 1
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
    assert.equal(turns, 160)
    assert.ok(!(await readdir(folder)).includes('transient'))
  })

  it('on a transient file is taken over from a killed process, and its file goes', async () => {
    const file = join(folder, 'inherited')
    const other = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo held; sleep 60'], { detached: true })
    await once(other.stdout, 'data')
    await assert.rejects(acquireTransientFlock(file, AbortSignal.timeout(50)), { name: 'TimeoutError' })
    process.kill(-other.pid!, 'SIGKILL')
    const lock = await acquireTransientFlock(file, AbortSignal.timeout(10_000))
    await lock[Symbol.asyncDispose]()
    assert.ok(!(await readdir(folder)).includes('inherited'))
  })

  it('does not follow a link in the place of its file', async () => {
    const file = join(folder, 'link')
    await symlink(join(folder, 'elsewhere'), file)
    await assert.rejects(acquireTransientFlock(file), { code: 'ELOOP' })
    await assert.rejects(acquireFlock(file), { code: 'ELOOP' })
    assert.ok(!(await readdir(folder)).includes('elsewhere'))
  })
})
