import assert from 'node:assert/strict'
import { scryptSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { hashPassword, verifyPassword } from '../../../api/auth/password-hash.ts'
import { formatPasswordHash, parsePasswordHash } from '../../../config/password-hash-format.ts'

const CHEAP = { logN: 13, blockSize: 8, parallelism: 1 }
const SALT = 'A'.repeat(22)
const HASH = 'A'.repeat(43)

describe('a password hash', () => {
  it('verifies the password it was made of and no other', async () => {
    const stored = parsePasswordHash(await hashPassword('correct horse', CHEAP))
    assert.ok(stored)
    assert.equal(await verifyPassword('correct horse', stored), true)
    assert.equal(await verifyPassword('correct horsf', stored), false)
    assert.equal(await verifyPassword('', stored), false)
  })

  it('has the default costs and a salt of its own each time', async () => {
    const [one, two] = await Promise.all([hashPassword('x'), hashPassword('x')])
    assert.match(one, /^\$scrypt\$ln=15,r=8,p=3\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    assert.notEqual(one, two)
  })

  it('is the scrypt of RFC 7914, section 12', async () => {
    const expected =
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2' +
      'd5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887'
    const salt = Buffer.from('SodiumChloride')
    const stored = { logN: 14, blockSize: 8, parallelism: 1, salt, hash: Buffer.from(expected, 'hex') }
    assert.equal(await verifyPassword('pleaseletmein', stored), true)
  })

  it('can have any costs within the bounds', async () => {
    for (const costs of [
      { logN: 13, blockSize: 8, parallelism: 16 },
      { logN: 13, blockSize: 32, parallelism: 2 },
      { logN: 16, blockSize: 8, parallelism: 1 },
    ]) {
      const stored = parsePasswordHash(await hashPassword('p', costs))
      assert.ok(stored)
      const { logN, blockSize: r, parallelism: p } = costs
      const again = scryptSync('p', stored.salt, 32, { N: 2 ** logN, r, p, maxmem: 2 ** 30 })
      assert.deepEqual(stored.hash, again)
    }
  })

  it('does not depend on how an accented letter was composed', async () => {
    const stored = parsePasswordHash(await hashPassword('caf\u00e9', CHEAP))
    assert.ok(stored)
    assert.equal(await verifyPassword('cafe\u0301', stored), true)
  })

  it('reads what it writes', () => {
    const line = `$scrypt$ln=15,r=8,p=1$${SALT}$${HASH}`
    const parsed = parsePasswordHash(line)
    assert.ok(parsed)
    assert.equal(parsed.salt.length, 16)
    assert.equal(parsed.hash.length, 32)
    assert.equal(formatPasswordHash(parsed), line)
  })

  for (const [what, line] of [
    ['nothing', ''],
    ['a password', 'correct horse'],
    ['another scheme', `$argon2id$v=19$m=65536,t=2,p=1$${SALT}$${HASH}`],
    ['padding', `$scrypt$ln=15,r=8,p=1$${SALT}==$${HASH}=`],
    ['base64 with stray bits', `$scrypt$ln=15,r=8,p=1$${SALT.slice(1)}B$${HASH}`],
    ['costs too small to be safe', `$scrypt$ln=12,r=8,p=1$${SALT}$${HASH}`],
    ['a block size too small to be safe', `$scrypt$ln=15,r=1,p=1$${SALT}$${HASH}`],
    ['more than 256 MiB', `$scrypt$ln=20,r=8,p=1$${SALT}$${HASH}`],
    ['100 GiB', `$scrypt$ln=27,r=8,p=1$${SALT}$${HASH}`],
    ['endless work', `$scrypt$ln=15,r=8,p=99$${SALT}$${HASH}`],
    ['no parallelism', `$scrypt$ln=15,r=8,p=0$${SALT}$${HASH}`],
    ['a leading zero', `$scrypt$ln=15,r=08,p=1$${SALT}$${HASH}`],
    ['a short salt', `$scrypt$ln=15,r=8,p=1$AAAA$${HASH}`],
    ['a short hash', `$scrypt$ln=15,r=8,p=1$${SALT}$AAAA`],
    ['a long hash', `$scrypt$ln=15,r=8,p=1$${SALT}$${'A'.repeat(100)}`],
    ['a line behind it', `$scrypt$ln=15,r=8,p=1$${SALT}$${HASH}\n`],
  ] as const) {
    it(`is refused with ${what}`, () => assert.equal(parsePasswordHash(line), undefined))
  }
})
