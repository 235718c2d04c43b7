import fastifyPlugin from 'fastify-plugin'
import { DiskferryError } from '../../core/errors.ts'

/** RFC 9112 section 3.2: HTTP/1.1 without Host is refused. Node would do it with an empty answer, which says nothing. */
export const hostHeader = fastifyPlugin(
  async (app) => {
    app.addHook('onRequest', async ({ raw }) => {
      if (raw.headers.host !== undefined || raw.httpVersion !== '1.1') return
      throw new DiskferryError('INVALID_REQUEST', 'The request has no Host header, which HTTP/1.1 demands.')
    })
  },
  { name: 'host-header', fastify: '5.x', dependencies: ['errors'] },
)
