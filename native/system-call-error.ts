import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'
import { shownPath } from 'diskferry/core'

/**
 * Neither list has all: only the first has EHOSTDOWN and EREMOTEIO, which network filesystems give, and only the second
 * EDQUOT, ESTALE and the name that Linux has for EOPNOTSUPP. Node says EAGAIN, not EWOULDBLOCK.
 */
const CODE_BY_ERRNO: ReadonlyMap<number, string> = new Map([
  ...[...getSystemErrorMap()].map(([errno, [code]]) => [-errno, code] as const),
  ...Object.entries(constants.errno)
    .filter(([code]) => code !== 'EWOULDBLOCK')
    .map(([code, errno]) => [errno, code] as const),
])

/**
 * A failed system call, in the shape of Node's own: `code` (`EOPNOTSUPP`), `errno` (negative, as Node has it),
 * `syscall` (`ioctl(FICLONE)`), `path` and, for calls on two files, `dest`.
 */
export class SystemCallError extends Error {
  readonly code: string
  readonly errno: number
  readonly syscall: string
  readonly path: string
  readonly dest: string | undefined

  /** @param errno positive, as errno(3) has it */
  constructor(syscall: string, errno: number, path: string, dest?: string) {
    const code = CODE_BY_ERRNO.get(errno) ?? `ERRNO_${errno}`
    // Now, because a person can't know what the descriptor was when it is closed.
    const names = [path, dest].filter((name) => name !== undefined).map((name) => `'${shownPath(name)}'`)
    super(`${code}: ${syscall} ${names.join(' -> ')}`)
    this.name = 'SystemCallError'
    this.code = code
    this.errno = -errno
    this.syscall = syscall
    this.path = path
    this.dest = dest
  }
}
