import { fastify } from 'fastify'
import { SHARED_SCHEMAS } from '../../../api/schemas/shared.ts'

/**
 * Holds JSON text against a schema, with Fastify's own validator and nothing coerced or removed.
 * @returns what is wrong, or undefined
 */
export async function schemaViolation(schema: object, json: string): Promise<string | undefined> {
  await using app = fastify({
    bodyLimit: 1024 * 1024 * 1024,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  })
  for (const shared of SHARED_SCHEMAS) app.addSchema(shared)
  app.post('/', { schema: { body: schema } }, async () => 'valid')
  const answer = await app.inject({
    method: 'POST',
    url: '/',
    payload: json,
    headers: { 'content-type': 'application/json' },
  })
  return answer.statusCode === 200 ? undefined : answer.body
}
