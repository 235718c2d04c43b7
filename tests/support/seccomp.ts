/** Loads a filter into itself and becomes the program that follows, which can't put it off again. */
const PROGRAM = `
import ctypes, os, sys
libseccomp = ctypes.CDLL('libseccomp.so.2')
libseccomp.seccomp_init.restype = ctypes.c_void_p
ALLOW = 0x7fff0000
ERRNO = 0x00050000 | int(sys.argv[1])
context = ctypes.c_void_p(libseccomp.seccomp_init(ctypes.c_uint32(ALLOW)))
for name in sys.argv[2].split(','):
    number = libseccomp.seccomp_syscall_resolve_name(name.encode())
    # Below zero it is one that this machine does not have.
    if number >= 0 and libseccomp.seccomp_rule_add(context, ctypes.c_uint32(ERRNO), number, 0) != 0:
        raise OSError('no rule for ' + name)
if libseccomp.seccomp_load(context) != 0:
    raise OSError('the filter can not be loaded')
os.execvp(sys.argv[3], sys.argv[3:])
`

/** What stands before a command so that the kernel answers these of its system calls with the errno. */
export function refusingCalls(names: readonly string[], errno: number): readonly string[] {
  return ['/usr/bin/python3', '-c', PROGRAM, String(errno), names.join(',')]
}
