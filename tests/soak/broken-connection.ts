/** What a request ends with when its server is killed, and one that comes after that. */
const CODES: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
  'UND_ERR_SOCKET',
])

/** Is it no more than that nobody answers any more? An answer that is wrong is something else, whatever its status. */
export function isBrokenConnection(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (CODES.has((current as NodeJS.ErrnoException).code)) return true
  }
  return false
}
