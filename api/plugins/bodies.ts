import fastifyPlugin from 'fastify-plugin'

/**
 * Bodies are read, within the limit, whatever their type, and left as they are: most routes ignore them. The
 * ancestor never looked at Content-Type, and its documented `curl -d` sends a false one.
 */
export const bodies = fastifyPlugin(
  async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    app.addHook('onRequest', async (request) => {
      // Fastify refuses a malformed type, and reads a body that isn't there when a type announces it.
      delete request.raw.headers['content-type']
    })
  },
  { name: 'bodies', fastify: '5.x' },
)
