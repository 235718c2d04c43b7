import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { onProcessExit } from './exit-cleanup.ts'

/**
 * Exchanges two names again and again, in one step by renameat2(2) with RENAME_EXCHANGE, or in three where the filesystem
 * can't (OCFS2); ends with them as they were.
 */
const PROGRAM = `
import ctypes, errno, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
one, other = sys.argv[1].encode(), sys.argv[2].encode()
until_gone = sys.argv[3] == 'true'
def exchange():
    if libc.renameat2(-100, one, -100, other, 2) == 0:
        return
    if ctypes.get_errno() == errno.ENOENT and until_gone:
        sys.exit(0)
    if ctypes.get_errno() != errno.EINVAL:
        raise OSError(ctypes.get_errno(), 'renameat2')
    os.rename(one, one + b'.away')
    os.rename(other, one)
    os.rename(one + b'.away', other)
turns = 0
while not stop or turns % 2:
    exchange()
    turns += 1
    if turns == 2:
        print('swapping', flush=True)
`

/**
 * A process that swaps what two paths name, as fast as it can, until it is disposed of.
 * @param untilGone whether it ends well when one of them is removed
 */
export async function swapNames(one: string, other: string, untilGone = false): Promise<AsyncDisposable> {
  const child = spawn('/usr/bin/python3', ['-c', PROGRAM, one, other, String(untilGone)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const forget = onProcessExit(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  void ended.then(forget)
  await Promise.race([
    once(child.stdout, 'data'),
    ended.then(([code]) => {
      throw new Error(`the swapping process ended with ${code}`)
    }),
  ])
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      const [code, signal] = await ended
      // At the very end of Python the signal finds nobody who handles it.
      if (code !== 0 && !(untilGone && signal === 'SIGTERM'))
        throw new Error(`the swapping process ended with ${code}`)
    },
  }
}
