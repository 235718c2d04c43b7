import { createHmac, randomBytes } from 'node:crypto'
import { type PasswordHash, parsePasswordHash } from '../../config/password-hash-format.ts'
import { DiskferryError } from '../../core/errors.ts'
import type { Authenticator } from '../../core/services.ts'
import { credentialProblem } from './credentials.ts'
import { unknowableHash, verifyPassword } from './password-hash.ts'
import { WorkLimit } from './work-limit.ts'

export interface User {
  readonly username: string
  /** As `hashPassword` makes it. */
  readonly passwordHash: string
}

/** Each check may take up to 256 MiB and a thread of libuv's four, which file operations need as well. */
const CHECKS_AT_ONCE = 2

/** About 40 seconds of work with hashes of the default costs. */
const CHECKS_WAITING = 256

/** Checks logins against the users of the configuration. */
export class UsersAuthenticator implements Authenticator {
  readonly #hashes: ReadonlyMap<string, PasswordHash>
  readonly #decoys: readonly PasswordHash[]
  readonly #decoyKey = randomBytes(32)
  readonly #limit = new WorkLimit(CHECKS_AT_ONCE, CHECKS_WAITING)

  /** @throws CONFIG_INVALID when there is no user, or a hash is none */
  constructor(users: readonly User[]) {
    if (users.length === 0) throw new DiskferryError('CONFIG_INVALID', 'auth.users is empty; add a user')
    this.#hashes = new Map(users.map((user) => [user.username, hashOf(user)]))
    this.#decoys = [...this.#hashes.values()].map(unknowableHash)
  }

  /** @throws LOGIN_REFUSED, ABORTED; LOGIN_BUSY when too many logins wait */
  async authenticate(username: string, password: string, signal?: AbortSignal): Promise<void> {
    const problem = credentialProblem(username, password)
    if (problem !== undefined) throw new DiskferryError('LOGIN_REFUSED', `${problem}.`)
    const hash = this.#hashes.get(username) ?? this.#decoyFor(username)
    const isRight = await this.#limit.run(() => verifyPassword(password, hash), signal)
    if (!isRight) throw new DiskferryError('LOGIN_REFUSED', 'Wrong user name or password.')
  }

  /**
   * An unknown name costs as much as some known one, and always as much as the same one: where users have hashes
   * of different costs, neither the time nor its change tells which names exist.
   */
  #decoyFor(username: string): PasswordHash {
    const digest = createHmac('sha256', this.#decoyKey).update(username).digest()
    return this.#decoys[digest.readUInt32BE() % this.#decoys.length]!
  }
}

function hashOf({ username, passwordHash }: User): PasswordHash {
  const hash = parsePasswordHash(passwordHash)
  if (hash !== undefined) return hash
  const message = `the password hash of user ${username} is malformed; make one with \`diskferry hash-password\``
  throw new DiskferryError('CONFIG_INVALID', message)
}
