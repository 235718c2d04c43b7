import type { FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { DiskferryError } from '../../core/errors.ts'
import { auditRefusal } from '../audit-log.ts'
import { causedByAbort } from '../caused-by-abort.ts'
import { errorAnswer } from '../error-answer.ts'
import { schemaError } from '../schema-error.ts'

const MAX_NAMED_PATH = 256
const DEFAULT_RETRY_AFTER_SECONDS = 5

export interface ErrorAnswerOptions {
  /** A 5xx in place of the one that the error's code has. */
  readonly status?: number
  /** Of the log entry that tells the reason of a 5xx; `error` by default. */
  readonly level?: 'warn' | 'error'
}

/** Answers with an error, and logs what a client isn't told. */
export function sendError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  { status, level = 'error' }: ErrorAnswerOptions = {},
): FastifyReply {
  const answer = errorAnswer(error, request.id, status)
  reply.errorBody = answer.body
  if (answer.status >= 500) {
    const abandoned = causedByAbort(error, request.clientSignal)
    request.log[abandoned ? 'debug' : level]({ err: error }, 'request failed')
  }
  // RFC 9110 section 15.5.2: a 401 says which scheme is wanted.
  if (answer.status === 401) reply.header('www-authenticate', 'Bearer realm="diskferry"')
  if (answer.status === 429) reply.header('retry-after', String(retryAfterSeconds(error)))
  return reply.code(answer.status).type('application/json; charset=utf-8').send(answer.body)
}

function retryAfterSeconds(error: unknown): number {
  return (
    (error instanceof DiskferryError ? error.retryAfterSeconds : undefined) ?? DEFAULT_RETRY_AFTER_SECONDS
  )
}

/** One shape for every error: `{error, details, code}`. */
export const errors = fastifyPlugin(
  async (app) => {
    app.setSchemaErrorFormatter(schemaError)
    app.setErrorHandler((error, request, reply) => {
      auditRefusal(request, error)
      return sendError(error, request, reply)
    })
    app.setNotFoundHandler(async (request) => {
      const path = request.url.split('?', 1)[0]!.slice(0, MAX_NAMED_PATH)
      throw new DiskferryError(
        'ROUTE_NOT_FOUND',
        `There is no ${request.method} ${path}. GET /docs lists what there is.`,
      )
    })
  },
  { name: 'errors', fastify: '5.x', dependencies: ['request-logging', 'request-signal'] },
)
