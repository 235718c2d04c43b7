import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { ConnectionError, FastifyBaseLogger } from 'fastify'
import type { AnswersUnderWay } from './answers-under-way.ts'
import type { ErrorBody } from './error-answer.ts'

/** After a refusal the client has this long to read it and to hang up. */
const LINGER_MS = 5000

const REFUSALS: Readonly<Record<string, readonly [number, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not arrive whole in time. Send it again.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'The chunk extensions of the request are too large.'],
  HPE_HEADER_OVERFLOW: [431, 'The header of the request is too large: at most 16384 bytes are accepted.'],
}

function refusal(code: string | undefined): readonly [number, string] | undefined {
  const known = REFUSALS[code ?? '']
  if (known !== undefined) return known
  return code?.startsWith('HPE_') ? [400, 'What was sent is not an HTTP/1.1 request.'] : undefined
}

/**
 * Answers what never became a request: broken TLS, broken HTTP, a header too large or too slow. Nothing may be
 * written into an answer that is under way: a client would take it for bytes of its disk.
 */
export function clientErrorHandler(logger: FastifyBaseLogger, answers: AnswersUnderWay) {
  return (error: Partial<ConnectionError>, socket: Socket): void => {
    const [status, details] = refusal(error.code) ?? []
    const requestId = randomUUID()
    const client = socket.remoteAddress
    if (status === undefined || details === undefined || !socket.writable || answers.has(socket)) {
      const level = error.code?.startsWith('ERR_SSL_') ? 'info' : 'debug'
      logger[level]({ reason: error.code, client }, 'connection broken off')
      socket.destroy()
      return
    }
    logger.info({ requestId, client, status, reason: error.code }, 'refused what is not a request')
    const short = STATUS_CODES[status]!
    const body: ErrorBody = { error: short, details, code: 'INVALID_REQUEST' }
    const text = JSON.stringify(body)
    socket.setTimeout(LINGER_MS, () => socket.destroy())
    socket.end(
      [
        `HTTP/1.1 ${status} ${short}`,
        'content-type: application/json; charset=utf-8',
        `content-length: ${Buffer.byteLength(text)}`,
        `x-request-id: ${requestId}`,
        'connection: close',
        '',
        text,
      ].join('\r\n'),
    )
  }
}
