import { readdir } from 'node:fs/promises'

/** What `bin.cts` sets. A mount that falls silent keeps up to 320 threads for as long as it is silent. */
const THREADS = 512

/** Why the process has too few threads to stand a silent mount; undefined when it has enough. */
export async function threadPoolProblem(): Promise<string | undefined> {
  // The whole pool is there as soon as it is used; the other threads of the process are a dozen.
  const threads = (await readdir('/proc/self/task')).length
  if (threads >= THREADS) return undefined
  return `the process has ${threads} threads, fewer than ${THREADS}: a repository that does not answer may stop all others. Start the installed command, or set UV_THREADPOOL_SIZE=${THREADS} in its environment`
}
