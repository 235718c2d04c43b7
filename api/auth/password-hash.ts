import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { formatPasswordHash, type PasswordHash } from '../../config/password-hash-format.ts'

type Costs = Pick<PasswordHash, 'logN' | 'blockSize' | 'parallelism'>

/** 32 MiB and about 0.3 s: the row for 32 MiB of OWASP's Password Storage Cheat Sheet. */
export const DEFAULT_COSTS: Costs = { logN: 15, blockSize: 8, parallelism: 3 }

const SALT_BYTES = 16
const HASH_BYTES = 32

const derive = promisify<string, Buffer, number, object, Buffer>(scrypt)

/** The line to store for a password: `$scrypt$ln=15,r=8,p=3$<salt>$<hash>`. */
export async function hashPassword(password: string, costs: Costs = DEFAULT_COSTS): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const hash = await run(password, salt, HASH_BYTES, costs)
  return formatPasswordHash({ ...costs, salt, hash })
}

/** Whether the password is the one of the hash. Takes the same time for a right one and a wrong one. */
export async function verifyPassword(password: string, stored: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await run(password, stored.salt, stored.hash.length, stored), stored.hash)
}

/** A hash that no known password has, as costly to check as `costs` says. */
export function unknowableHash(costs: Costs): PasswordHash {
  const { logN, blockSize, parallelism } = costs
  return { logN, blockSize, parallelism, salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES) }
}

/** Keyboards differ in how they compose an accented letter; NFC makes them one: RFC 8265, section 4.2.2. */
function run(password: string, salt: Buffer, length: number, costs: Costs): Promise<Buffer> {
  const N = 2 ** costs.logN
  const { blockSize: r, parallelism: p } = costs
  // Node refuses to use more than `maxmem`, 32 MiB by default; the need is in RFC 7914, section 5, plus p blocks.
  return derive(password.normalize('NFC'), salt, length, { N, r, p, maxmem: 128 * r * (N + p + 16) })
}
