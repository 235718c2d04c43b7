import fastifyPlugin from 'fastify-plugin'
import { DiskferryError } from '../../core/errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Aborted when the client goes away before its answer is complete. Fastify's own `signal` listens to the
     * request, which also closes when its body has been read.
     */
    clientSignal: AbortSignal | undefined
  }
}

/** Gives every request a signal for the work done for it. */
export const requestSignal = fastifyPlugin(
  async (app) => {
    app.decorateRequest('clientSignal', undefined)
    app.addHook('onRequest', async (request, reply) => {
      const controller = new AbortController()
      request.clientSignal = controller.signal
      reply.raw.once('close', () => {
        if (reply.raw.writableFinished) return
        controller.abort(
          new DiskferryError('ABORTED', 'The client went away before its answer was complete.'),
        )
      })
    })
  },
  { name: 'request-signal', fastify: '5.x' },
)
