import koffi from 'koffi'

const libc = koffi.load('libc.so.6')

/**
 * The third argument of ioctl(2) is a pointer for some requests and a plain number for others, so it is
 * declared twice. On Linux's 64-bit ABIs a variadic integer or pointer travels as a fixed one does.
 */
export const ioctlPointer = libc.func('int ioctl(int fd, unsigned long request, void *argument)')
export const ioctlNumber = libc.func('int ioctl(int fd, unsigned long request, unsigned long argument)')
/** struct reflink_arguments of fs/ocfs2/ocfs2_ioctl.h: its __u64 members are addresses of NUL-terminated strings. */
const ReflinkArguments = koffi.struct({ old_path: 'str', new_path: 'str', preserve: 'uint64_t' })
export const ioctlReflink = libc.func('ioctl', 'int', [
  'int',
  'unsigned long',
  koffi.pointer(ReflinkArguments),
])
export const lseek64 = libc.func('int64_t lseek64(int fd, int64_t offset, int whence)')
export const fallocate64 = libc.func('int fallocate64(int fd, int mode, int64_t offset, int64_t length)')
export const syncfs = libc.func('int syncfs(int fd)')
export const renameat2 = libc.func(
  'int renameat2(int old_folder, const char *old_path, int new_folder, const char *new_path, unsigned int flags)',
)
export const statx = libc.func(
  'int statx(int folder, const char *path, int flags, unsigned int mask, void *buffer)',
)
export const exit = libc.func('void _exit(int status)')
export const flock = libc.func('int flock(int fd, int operation)')
/** glibc has no wrapper for openat2(2). */
export const syscallOpenat2 = libc.func(
  'long syscall(long number, int folder, const char *path, void *how, size_t size)',
)

export interface CallResult {
  /** What the function returned; a 64-bit result beyond 2^53 arrives as a bigint. */
  readonly value: number | bigint
  /** errno(3) of this very call; meaningless unless `value` is -1. */
  readonly errno: number
}

type KoffiFunction = ReturnType<typeof libc.func>

/**
 * Runs a function on libuv's thread pool, so that a slow call never stops the event loop. A call under way
 * can't be interrupted: callers look at their signal between calls.
 */
export function callAsync(fn: KoffiFunction, ...args: readonly unknown[]): Promise<CallResult> {
  return new Promise((resolve, reject) => {
    fn.async(...args, (error: unknown, value: number | bigint) => {
      // Right only here: errno is per thread, and koffi restores it just for the span of this callback.
      const errno = koffi.errno()
      if (error) reject(error)
      else resolve({ value, errno })
    })
  })
}
