import { type Logger, pino } from 'pino'
import { LogDestination } from './log-destination.ts'

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
  /** Nothing may be logged any more. */
  close(): void
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

/** One JSON object a line, with an ISO 8601 time. @throws the system's error when the file can't be opened */
export function createLogger({ file, descriptor = 1, level }: LoggerOptions): ServerLog {
  const destination = new LogDestination(file ?? descriptor, (lines) =>
    logger.error({ lines }, 'lines of the log were lost: it could not be written for long'),
  )
  const logger: Logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: NEVER_LOGGED, censor: '[redacted]' },
    },
    destination,
  )
  return { logger, reopen: () => destination.reopen(), close: () => destination.close() }
}
