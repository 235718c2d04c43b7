import type { FastifyPluginAsync } from 'fastify'
import type { Readiness } from '../../core/services.ts'
import { sendError } from '../plugins/errors.ts'
import { errorResponses, statusResponse } from '../schemas/responses.ts'

export interface HealthRoutesOptions {
  readonly readiness: Readiness
}

export const healthRoutes: FastifyPluginAsync<HealthRoutesOptions> = async (app, { readiness }) => {
  app.get(
    '/healthz',
    {
      config: { public: true, probe: true },
      schema: {
        operationId: 'health',
        summary: 'The program is alive',
        security: [],
        response: { 200: statusResponse('ok') },
      },
    },
    async () => ({ status: 'ok' }),
  )

  app.get(
    '/readyz',
    {
      config: { public: true, probe: true },
      schema: {
        operationId: 'readiness',
        summary: 'The program can do its work: its database is open, its inventory readable',
        security: [],
        response: { 200: statusResponse('ready'), ...errorResponses },
      },
    },
    async (request, reply) => {
      try {
        await readiness.check()
      } catch (error) {
        return sendError(error, request, reply, { status: 503, level: 'warn' })
      }
      return { status: 'ready' }
    },
  )
}
