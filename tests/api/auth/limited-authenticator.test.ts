import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { FailureBudget } from '../../../api/auth/failure-budget.ts'
import { LimitedAuthenticator } from '../../../api/auth/limited-authenticator.ts'
import { DiskferryError } from '../../../core/errors.ts'

const LIMITS = { failedLoginsPerAddress: 6, failedLoginsPerUser: 3 }

let now = 0
let asked: string[] = []
let refusal: DiskferryError | undefined
let limited: LimitedAuthenticator
beforeEach(() => {
  now = 0
  asked = []
  refusal = undefined
  limited = new LimitedAuthenticator(
    {
      async authenticate(username, password) {
        asked.push(username)
        if (refusal !== undefined) throw refusal
        if (password !== 'right') throw new DiskferryError('LOGIN_REFUSED', 'wrong')
      },
    },
    LIMITS,
    () => now,
  )
})

const login = (user: string, password: string, address = '192.0.2.1') =>
  limited.authenticate(user, password, address).then(
    () => 'in',
    (error: DiskferryError) => error.code,
  )

async function repeat(times: number, attempt: () => Promise<string>): Promise<string[]> {
  const outcomes: string[] = []
  for (let turn = 0; turn < times; turn++) outcomes.push(await attempt())
  return outcomes
}

const refused = (count: number) => Array<string>(count).fill('LOGIN_REFUSED')

describe('the limit on failed logins', () => {
  it('keeps an address out after so many, whatever the names, the right password too', async () => {
    let n = 0
    assert.deepEqual(await repeat(6, () => login(`user-${n++}`, 'wrong')), refused(6))
    assert.equal(await login('another', 'right'), 'LOGIN_LIMITED')
    assert.equal(asked.length, 6)
    assert.equal(await login('another', 'right', '192.0.2.2'), 'in')
  })

  it('keeps a user out after so many, wherever they come from, and says for how long', async () => {
    let n = 0
    assert.deepEqual(await repeat(3, () => login('admin', 'wrong', `192.0.2.${n++}`)), refused(3))
    await assert.rejects(
      limited.authenticate('admin', 'right', '192.0.2.99'),
      (error: DiskferryError) => error.code === 'LOGIN_LIMITED' && error.retryAfterSeconds === 20,
    )
    assert.equal(await login('other', 'right', '192.0.2.99'), 'in')
    now += 20_000
    assert.equal(await login('admin', 'right', '192.0.2.99'), 'in')
  })

  it('does not keep a user out from where he has logged in before', async () => {
    assert.equal(await login('admin', 'right', '198.51.100.1'), 'in')
    await repeat(3, () => login('admin', 'wrong', '192.0.2.1'))
    assert.equal(await login('admin', 'right', '192.0.2.2'), 'LOGIN_LIMITED')
    assert.equal(await login('admin', 'right', '198.51.100.1'), 'in')
  })

  it('is the same for a user who has logged in from there as for one who does not exist', async () => {
    assert.equal(await login('admin', 'right'), 'in')
    const guesses = async (user: string) => {
      const outcomes: unknown[] = []
      for (now += 120_000; outcomes.length < 5; now += 7000) {
        const answer: DiskferryError = await limited.authenticate(user, 'wrong', '192.0.2.1').then(
          () => assert.fail('it should have been refused'),
          (error) => error,
        )
        outcomes.push([answer.code, answer.message, answer.retryAfterSeconds])
      }
      return outcomes
    }
    const known = await guesses('admin')
    assert.deepEqual(known.at(-1), [
      'LOGIN_LIMITED',
      'too many logins have failed from this address or for this user; try again in 12 s',
      12,
    ])
    assert.deepEqual(await guesses('nobody'), known)
  })

  it('does not count logins that succeed, or that nobody could check', async () => {
    assert.deepEqual(await repeat(50, () => login('admin', 'right')), Array(50).fill('in'))
    refusal = new DiskferryError('MANAGER_UNREACHABLE', 'away')
    assert.deepEqual(await repeat(50, () => login('admin', 'wrong')), Array(50).fill('MANAGER_UNREACHABLE'))
    refusal = undefined
    assert.equal(await login('admin', 'right'), 'in')
  })

  it('counts those under way: many at once get no further', async () => {
    const outcomes = await Promise.all(Array.from({ length: 40 }, () => login('admin', 'wrong')))
    assert.equal(outcomes.filter((outcome) => outcome === 'LOGIN_REFUSED').length, 3)
    assert.equal(asked.length, 3)
  })

  it('counts one that was given up before its answer', async () => {
    refusal = new DiskferryError('ABORTED', 'gone')
    await repeat(3, () => login('admin', 'wrong'))
    assert.equal(await login('admin', 'wrong'), 'LOGIN_LIMITED')
  })

  it('takes the addresses of one IPv6 network, and both ways to write IPv4, for one client', async () => {
    let n = 0
    assert.deepEqual(
      await repeat(6, () => login(`user-${n}`, 'wrong', `2001:db8:1:2::${(n++).toString(16)}`)),
      refused(6),
    )
    assert.equal(await login('x', 'right', '2001:db8:1:2:ffff:ffff:ffff:ffff'), 'LOGIN_LIMITED')
    assert.equal(await login('x', 'right', '2001:db8:1:3::1'), 'in')
    assert.deepEqual(await repeat(6, () => login(`user-${n++}`, 'wrong', '::ffff:192.0.2.9')), refused(6))
    assert.equal(await login('x', 'right', '192.0.2.9'), 'LOGIN_LIMITED')
  })

  it('remembers ten thousand names and no more', () => {
    const budget = new FailureBudget(10, () => now)
    for (let n = 0; n < 50_000; n++) budget.spend(`user-${n}`)
    assert.equal(budget.size, 10_000)
  })
})
