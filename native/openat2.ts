import { callAsync, syscallOpenat2 } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

/** The number is 437 on every architecture that node runs on: calls since 5.1 share one table. */
const SYS_OPENAT2 = 437

/** include/uapi/asm-generic/fcntl.h; the same on x86-64 and arm64. */
const O_PATH = 0o10000000
const O_CLOEXEC = 0o2000000

/** include/uapi/linux/openat2.h */
const RESOLVE_NO_XDEV = 0x01
const RESOLVE_NO_MAGICLINKS = 0x02
const RESOLVE_NO_SYMLINKS = 0x04
const RESOLVE_BENEATH = 0x08
/** struct open_how: flags, mode, resolve, each 64 bits. */
const OPEN_HOW_BYTES = 24

/**
 * Finds `path` beneath the open folder, following no link and crossing no mount; openat2(2).
 *
 * @returns an O_PATH descriptor, which the caller closes
 * @throws SystemCallError: ELOOP, EXDEV, ENOENT, ENOTDIR; ENOSYS before Linux 5.6, EPERM under some sandboxes
 */
export async function openat2Beneath(folder: number, path: string, shown: string): Promise<number> {
  const how = Buffer.alloc(OPEN_HOW_BYTES)
  how.writeBigUInt64LE(BigInt(O_PATH | O_CLOEXEC), 0)
  const resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV
  how.writeBigUInt64LE(BigInt(resolve), 16)
  const { value, errno } = await callAsync(syscallOpenat2, SYS_OPENAT2, folder, path, how, OPEN_HOW_BYTES)
  if (Number(value) === -1) throw new SystemCallError('openat2', errno, shown)
  return Number(value)
}
