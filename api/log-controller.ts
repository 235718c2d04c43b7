import { type FastifyReply, type FastifyRequest, LogController } from 'fastify'

/** What Fastify itself logs about requests: only what plugins/request-logging.ts can't know. */
export class RequestLogController extends LogController {
  constructor() {
    super({ requestIdLogLabel: 'requestId' })
  }

  override incomingRequest(): void {}

  override requestCompleted(): void {}

  override routeNotFound(): void {}

  /** An answer that broke off after it had begun. A client that went away is in the request's own line. */
  override streamError(error: Error & { readonly code?: string }, request: FastifyRequest): void {
    if (error.code === 'ERR_STREAM_PREMATURE_CLOSE' || request.clientSignal?.aborted) return
    request.log.error({ err: error }, 'the answer was broken off')
  }

  override writeHeadError(error: Error, _request: FastifyRequest, reply: FastifyReply): void {
    reply.log.error({ err: error }, 'the header of the answer could not be written')
  }
}
