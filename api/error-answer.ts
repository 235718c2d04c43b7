import { STATUS_CODES } from 'node:http'
import { DiskferryError, type ErrorCode } from '../core/errors.ts'
import { ERROR_STATUS } from './error-status.ts'
import { BODY_LIMIT_BYTES } from './server-options.ts'

/** The body of every answer that is not a success. */
export interface ErrorBody {
  readonly error: string
  readonly details: string
  readonly code: ErrorCode
}

export interface ErrorAnswer {
  readonly status: number
  readonly body: ErrorBody
}

/** Where Fastify's own sentence would not tell a client what to do. */
const FASTIFY_DETAILS: Readonly<Record<string, string>> = {
  FST_ERR_BAD_URL: 'The path is not valid percent-encoded UTF-8. Encode every name in it.',
  FST_ERR_CTP_BODY_TOO_LARGE: `The body is too large: at most ${BODY_LIMIT_BYTES} bytes are accepted.`,
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'The body does not have the length that Content-Length announced.',
}

/** A refusal that Fastify or one of its plugins made: an error with a status of 400 to 499. */
function refusedByFastify(error: unknown): { status: number; details: string } | undefined {
  if (!(error instanceof Error) || error instanceof DiskferryError) return undefined
  const { statusCode, code } = error as { statusCode?: unknown; code?: unknown }
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 499) return undefined
  const details = typeof code === 'string' ? FASTIFY_DETAILS[code] : undefined
  return { status: statusCode, details: details ?? error.message }
}

/**
 * What a client is told about an error. A 5xx carries only what was written for clients, and the request id
 * by which the administrator of the host finds the rest in the log.
 *
 * @param status in place of the one that the error's code has; a 5xx
 */
export function errorAnswer(error: unknown, requestId: string, status?: number): ErrorAnswer {
  const refused = refusedByFastify(error)
  if (refused !== undefined) {
    const code = refused.status === 404 ? 'ROUTE_NOT_FOUND' : 'INVALID_REQUEST'
    const short = STATUS_CODES[refused.status] ?? 'Bad Request'
    return { status: refused.status, body: { error: short, details: refused.details, code } }
  }
  const code = error instanceof DiskferryError ? error.code : 'INTERNAL'
  const known = ERROR_STATUS[code]
  const answered = status ?? known.status
  const short = answered === known.status ? known.error : (STATUS_CODES[answered] ?? known.error)
  if (error instanceof DiskferryError && answered < 500) {
    return { status: answered, body: { error: short, details: error.message, code } }
  }
  const written = error instanceof DiskferryError ? error.clientMessage : undefined
  const what = written ?? known.summary ?? 'Diskferry could not do this.'
  const details = `${what} The log of the host tells more under request id ${requestId}.`
  return { status: answered, body: { error: short, details, code } }
}
