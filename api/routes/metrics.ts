import type { FastifyPluginAsync } from 'fastify'
import type { Metrics } from '../../core/metrics/metrics.ts'
import { errorResponses } from '../schemas/responses.ts'

export interface MetricsRouteOptions {
  readonly metrics: Metrics
}

const TEXT = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * Public: a scraper can't log in anew whenever its token expires. For that reason metrics hold counts only, no name and
 * no path.
 */
export const metricsRoute: FastifyPluginAsync<MetricsRouteOptions> = async (app, { metrics }) => {
  app.get(
    '/metrics',
    {
      config: { public: true, probe: true },
      schema: {
        operationId: 'metrics',
        summary: 'Counts for a monitoring system, in the text format of Prometheus',
        security: [],
        response: {
          200: { description: 'Metrics', content: { 'text/plain': { schema: { type: 'string' } } } },
          ...errorResponses,
        },
      },
    },
    async (_request, reply) => reply.type(TEXT).send(await metrics.render()),
  )
}
