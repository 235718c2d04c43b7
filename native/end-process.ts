import { exit } from './libc.ts'

/**
 * Ends the process at once; _exit(2). Unlike process.exit() it does not wait for the threads of libuv's pool, one of which
 * may be in a system call that never returns. Nothing is flushed, and no exit handler runs.
 */
export function endProcess(code: number): never {
  exit(code)
  throw new Error('_exit() returned')
}
