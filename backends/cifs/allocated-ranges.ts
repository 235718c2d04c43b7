import { performance } from 'node:perf_hooks'
import { systemCode } from 'diskferry/core'
import type { DataRange } from 'diskferry/native'

/**
 * Asks the server which ranges that touch a window (bytes) hold data. Undefined when there are more than one answer takes;
 * a server says so by an error, too.
 */
export type AskAllocated = (start: number, length: number) => Promise<readonly DataRange[] | undefined>

/**
 * Data and holes of 512 bytes make 512 ranges of this: no answer is too long. The first question asks for no more, because
 * a server walks all of a window, does nothing else for this client meanwhile, and may take very long (see below).
 */
const LEAST_WINDOW = 512 * 1024
const FACTOR = 4
/** A quarter of the 1024 ranges that the client leaves room for: a window that is larger by FACTOR should still fit. */
const FEW_RANGES = 256
/** An answer with more ranges that took longer than SLOW_MS took so long for their sake. */
const HARDLY_ANY_RANGES = 16
const SLOW_MS = 1000

/**
 * Asking must not take longer than reading the holes would that it finds. It can: with Linux 6.1 below Samba the time of an
 * answer grows with the square of the ranges when the server has the file's pages in memory, because btrfs_file_llseek()
 * locks all that follows, piece by piece.
 */
const PATIENCE_MS = 30_000
const READ_BYTES_PER_MS = 100_000

/**
 * STATUS_BUFFER_TOO_SMALL of Samba and STATUS_BUFFER_OVERFLOW of Windows, as the client's map_smb2_to_linux_error() has them;
 * EIO has other reasons, too.
 */
const TOO_LONG: ReadonlySet<string | undefined> = new Set(['EIO', 'E2BIG'])
/** The client or the server does not know the question. */
const REFUSED: ReadonlySet<string | undefined> = new Set([
  'EOPNOTSUPP',
  'ENOTSUP',
  'ENOTTY',
  'ENOSYS',
  'EINVAL',
])

/**
 * The ranges of a file that a server calls allocated, ascending, up to `size` bytes, in batches. Where it can't tell, or takes
 * too long, all that is left is taken for data: a server that does not even answer is met again when the bytes are read.
 *
 * @param now milliseconds
 * @throws other errors of the question; an Error when the answer is not in order
 */
export async function* allocatedRanges(
  size: number,
  ask: AskAllocated,
  signal?: AbortSignal,
  now: () => number = () => performance.now(),
): AsyncGenerator<readonly DataRange[]> {
  let window = LEAST_WINDOW
  let patience = PATIENCE_MS
  for (let start = 0; start < size; ) {
    signal?.throwIfAborted()
    const length = Math.min(window, size - start)
    const asked = now()
    const answer = await answerOf(ask, start, length)
    const took = now() - asked
    patience -= took
    if (patience < 0 || answer === 'refused' || (answer === 'too-long' && length <= LEAST_WINDOW)) {
      yield [{ start, length: size - start }]
      return
    }
    if (answer === 'too-long') {
      window = Math.max(LEAST_WINDOW, Math.floor(length / FACTOR))
      continue
    }
    const ranges = cutToWindow(answer, start, start + length)
    if (ranges.length > 0) yield ranges
    const data = ranges.reduce((sum, range) => sum + range.length, 0)
    patience += (length - data) / READ_BYTES_PER_MS
    if (answer.length < (took < SLOW_MS ? FEW_RANGES : HARDLY_ANY_RANGES)) window *= FACTOR
    start += length
  }
}

async function answerOf(
  ask: AskAllocated,
  start: number,
  length: number,
): Promise<readonly DataRange[] | 'too-long' | 'refused'> {
  try {
    return (await ask(start, length)) ?? 'too-long'
  } catch (error) {
    const code = systemCode(error)
    if (TOO_LONG.has(code)) return 'too-long'
    if (REFUSED.has(code)) return 'refused'
    throw error
  }
}

function cutToWindow(answer: readonly DataRange[], windowStart: number, windowEnd: number): DataRange[] {
  const ranges: DataRange[] = []
  let last = 0
  for (const { start, length } of answer) {
    const end = start + length
    if (!Number.isSafeInteger(end) || length <= 0 || start < last) {
      throw new Error(
        `the SMB server's allocated ranges between ${windowStart} and ${windowEnd} are not in order: ${length} bytes at ${start}, after a range that ends at ${last}`,
      )
    }
    last = end
    const [from, to] = [Math.max(start, windowStart), Math.min(end, windowEnd)]
    if (from < to) ranges.push({ start: from, length: to - from })
  }
  return ranges
}
