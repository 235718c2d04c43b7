import fastifySwagger from '@fastify/swagger'
import fastifySwaggerUi from '@fastify/swagger-ui'
import fastifyPlugin from 'fastify-plugin'
import { SHARED_SCHEMAS } from '../schemas/shared.ts'

/** OpenAPI from the schemas of the routes, and a page to try them on: `/docs/json` and `/docs`. */
export const openapi = fastifyPlugin(
  async (app) => {
    for (const schema of SHARED_SCHEMAS) app.addSchema(schema)
    await app.register(fastifySwagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Diskferry',
          version: '1',
          description: 'Full and incremental exports of virtual machine disks. All sizes are bytes.',
        },
        components: {
          securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
        },
        security: [{ token: [] }],
      },
      refResolver: {
        buildLocalReference: ({ $id }, _base, _fragment, index) => String($id ?? `def-${index}`),
      },
    })
    await app.register(async (docs) => {
      docs.addHook('onRoute', (route) => {
        route.config = { ...route.config, public: true }
      })
      await docs.register(fastifySwaggerUi, { routePrefix: '/docs', staticCSP: true })
    })
  },
  { name: 'openapi', fastify: '5.x' },
)
