import { constants } from 'node:os'
import { callAsync, statx } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** <fcntl.h> */
const AT_EMPTY_PATH = 0x1000
/** include/uapi/linux/stat.h: struct statx has 256 bytes, stx_mask at 0, stx_btime at 80 (seconds, then nanoseconds). */
const STATX_BTIME = 0x800
const STATX_BYTES = 256
const BTIME = 80

/** The kernel is older than 4.11, or a sandbox refuses the call. */
const NO_STATX: ReadonlySet<number> = new Set([constants.errno.ENOSYS, constants.errno.EPERM])

/**
 * When an open file came into being, nanoseconds since 1970; statx(2). Node's own `birthtimeNs` does not tell whether
 * there is one: it is 0 on OCFS2, and the time of the last change where the kernel has no statx.
 *
 * @param descriptor may be one of O_PATH
 * @returns undefined where the filesystem keeps no such time, or has 1970 for it
 * @throws SystemCallError
 */
export async function birthTime(descriptor: number, shown: string): Promise<bigint | undefined> {
  const buffer = Buffer.alloc(STATX_BYTES)
  const { value, errno } = await callAsync(statx, descriptor, '', AT_EMPTY_PATH, STATX_BTIME, buffer)
  if (value === -1) {
    if (NO_STATX.has(errno)) return undefined
    throw new SystemCallError('statx', errno, shown)
  }
  if ((buffer.readUInt32LE(0) & STATX_BTIME) === 0) return undefined
  const born = buffer.readBigInt64LE(BTIME) * 1_000_000_000n + BigInt(buffer.readUInt32LE(BTIME + 8))
  return born > 0n ? born : undefined
}
