import { type Logger, pino } from 'pino'

export interface LoggerOptions {
  /** Appended to; without it the log goes to stdout, or stderr. */
  readonly file?: string
  readonly descriptor?: 1 | 2
  readonly level: string
}

export interface ServerLog {
  readonly logger: Logger
  /** For log rotation: goes on in a new file when the old one was moved away. Does nothing for stdout and stderr. */
  reopen(): void
}

/** A second safety net: nothing logs these on purpose. */
const NEVER_LOGGED = [
  'password',
  'token',
  'secret',
  'authorization',
  '*.password',
  '*.token',
  '*.secret',
  '*.authorization',
  'req.headers.authorization',
]

/** What is kept in memory while the log can't be written; what comes after it is lost. Bytes. */
const MOST_KEPT = 1024 * 1024

/** One JSON object a line, with an ISO 8601 time. Written at once, so that a crash loses no line. */
export function createLogger({ file, descriptor = 1, level }: LoggerOptions): ServerLog {
  const destination = pino.destination({
    dest: file ?? descriptor,
    sync: true,
    mode: 0o640,
    maxLength: MOST_KEPT,
  })
  // Without a listener a full disk would be an exception for whoever logs, in the middle of a snapshot.
  let isBroken = false
  destination.on('error', (error) => {
    if (!isBroken) process.stderr.write(`the log can't be written: ${error.message}\n`)
    isBroken = true
  })
  destination.on('write', () => {
    isBroken = false
  })
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: NEVER_LOGGED, censor: '[redacted]' },
    },
    destination,
  )
  return { logger, reopen: () => file !== undefined && destination.reopen() }
}
