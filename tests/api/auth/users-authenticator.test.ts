import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { hashPassword } from '../../../api/auth/password-hash.ts'
import { UsersAuthenticator } from '../../../api/auth/users-authenticator.ts'
import { DiskferryError } from '../../../core/errors.ts'

const CHEAP = { logN: 13, blockSize: 8, parallelism: 1 }

describe('the users of the configuration', () => {
  let authenticator: UsersAuthenticator

  before(async () => {
    authenticator = new UsersAuthenticator([
      { username: 'backup', passwordHash: await hashPassword('backup-password', CHEAP) },
      { username: 'müller', passwordHash: await hashPassword('pä:ss €', CHEAP) },
    ])
  })

  async function refusal(username: string, password: string): Promise<DiskferryError> {
    const error = await authenticator.authenticate(username, password).then(
      () => assert.fail('it should have been refused'),
      (reason: unknown) => reason,
    )
    assert.ok(error instanceof DiskferryError)
    assert.equal(error.code, 'LOGIN_REFUSED')
    return error
  }

  it('are let in with their password', async () => {
    await authenticator.authenticate('backup', 'backup-password')
    await authenticator.authenticate('müller', 'pä:ss €')
  })

  it('are refused with the password of another', async () => {
    await refusal('backup', 'pä:ss €')
    await refusal('Backup', 'backup-password')
  })

  it('get the same answer for a wrong password as an unknown user', async () => {
    const wrongPassword = await refusal('backup', 'wrong')
    const unknownUser = await refusal('nobody', 'wrong')
    assert.equal(unknownUser.message, wrongPassword.message)
    assert.equal((await refusal('__proto__', 'wrong')).message, wrongPassword.message)
  })

  it('are refused without a password, with control characters and with a megabyte', async () => {
    await refusal('backup', '')
    await refusal('', '')
    await refusal('backup', 'a\0b')
    await refusal('backup', 'x'.repeat(1 << 20))
    await refusal('x'.repeat(1 << 20), 'x')
  })

  it('cost as much work when unknown as when the password is wrong', async () => {
    const costly = new UsersAuthenticator([
      { username: 'backup', passwordHash: await hashPassword('p', { ...CHEAP, logN: 16 }) },
    ])
    // Of the processor, by all threads: who waits for a busy machine does no work.
    const work = async (username: string) => {
      const before = process.cpuUsage()
      await assert.rejects(costly.authenticate(username, 'wrong'))
      const spent = process.cpuUsage(before)
      return (spent.user + spent.system) / 1000
    }
    let known = Number.POSITIVE_INFINITY
    let unknown = Number.POSITIVE_INFINITY
    const alike = () => unknown > 0.6 * known && unknown < 1.6 * known
    // The least of many is what it takes: what disturbs a measurement only adds to it.
    for (let turn = 0; turn < 3 || (turn < 30 && !alike()); turn++) {
      known = Math.min(known, await work('backup'))
      unknown = Math.min(unknown, await work('nobody'))
    }
    assert.ok(alike(), `unknown ${unknown} ms, known ${known} ms`)
  })

  it('all get an answer when many log in at once', async () => {
    const logins = Array.from({ length: 40 }, (_, index) =>
      authenticator.authenticate('backup', index % 2 === 0 ? 'backup-password' : 'wrong').then(
        () => 'in',
        (error: DiskferryError) => error.code,
      ),
    )
    const expected = Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? 'in' : 'LOGIN_REFUSED'))
    assert.deepEqual(await Promise.all(logins), expected)
  })

  it('stop waiting when the client goes away', async () => {
    const client = new AbortController()
    const busy = [1, 2].map(() => authenticator.authenticate('backup', 'backup-password'))
    const waiting = authenticator.authenticate('backup', 'backup-password', client.signal)
    client.abort()
    await assert.rejects(waiting, (error: DiskferryError) => error.code === 'ABORTED')
    await Promise.all(busy)
  })

  it('must be there, with a hash each', () => {
    assert.throws(() => new UsersAuthenticator([]), /auth\.users is empty/)
    const plain = { username: 'backup', passwordHash: 'hunter2-in-the-clear' }
    assert.throws(
      () => new UsersAuthenticator([plain]),
      (error: Error) => /user backup/.test(error.message) && !error.message.includes('hunter2'),
    )
  })
})
