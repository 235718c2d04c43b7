import type { FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { ErrorBody } from '../error-answer.ts'

declare module 'fastify' {
  interface FastifyReply {
    /** Set when the answer is an error. */
    errorBody: ErrorBody | undefined
  }
  interface FastifyContextConfig {
    /** Asked every few seconds by a machine: logged at debug level unless it fails. */
    readonly probe?: boolean
  }
}

const MAX_LOGGED_PATH = 256

/** A route and its parameters; for a request without a route the path, never the query. */
function target(request: FastifyRequest): Record<string, unknown> {
  const { url } = request.routeOptions
  if (url !== undefined) return { route: url, params: request.params }
  return { route: null, path: request.url.split('?', 1)[0]!.slice(0, MAX_LOGGED_PATH) }
}

/** Names the request in its answer, and logs one line about it when the answer is over, however it ends. */
export function trackRequest(request: FastifyRequest, reply: FastifyReply): void {
  const began = performance.now()
  const { socket } = request.raw
  const alreadyWritten = socket.bytesWritten
  reply.header('x-request-id', request.id)
  reply.raw.once('close', () => {
    const { statusCode, writableFinished } = reply.raw
    const failed = reply.errorBody !== undefined || !writableFinished
    const probe = request.routeOptions.config?.probe === true && !failed
    request.log[probe ? 'debug' : 'info'](
      {
        method: request.method,
        ...target(request),
        status: statusCode,
        ms: Math.round((performance.now() - began) * 10) / 10,
        bytes: socket.bytesWritten - alreadyWritten,
        client: request.ip,
        ...(typeof request.user?.user === 'string' && { user: request.user.user }),
        ...(reply.errorBody && { code: reply.errorBody.code, details: reply.errorBody.details }),
        ...(!writableFinished && { aborted: true }),
      },
      'request',
    )
  })
}

/** One log line a request. Headers and bodies, which hold tokens and passwords, are never logged. */
export const requestLogging = fastifyPlugin(
  async (app) => {
    app.decorateReply('errorBody', undefined)
    app.addHook('onRequest', async (request, reply) => trackRequest(request, reply))
  },
  { name: 'request-logging', fastify: '5.x' },
)
