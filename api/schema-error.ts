import type { FastifySchemaValidationError } from 'fastify'
import { DiskferryError } from '../core/errors.ts'

const PLACES: Readonly<Record<string, string>> = { querystring: 'query', params: 'path' }

function complaint({ keyword, params, message }: FastifySchemaValidationError): string {
  switch (keyword) {
    case 'enum': {
      const { allowedValues } = params as { readonly allowedValues: readonly string[] }
      return `must be one of ${allowedValues.filter((value) => value !== '').join(', ')}`
    }
    case 'pattern':
      return 'must not hold control characters'
    default:
      return message ?? 'is not valid'
  }
}

/** What a schema found wrong, without the value: it may be a password. */
export function schemaError(errors: readonly FastifySchemaValidationError[], place: string): DiskferryError {
  const [first] = errors
  const where = PLACES[place] ?? place
  if (first === undefined) return new DiskferryError('INVALID_REQUEST', `The ${where} is not valid.`)
  const field = first.instancePath.replace(/^\//, '').replaceAll('/', '.')
  const subject = field === '' ? `The ${where}` : `${field} in the ${where}`
  const repeated = place === 'querystring' && first.keyword === 'type'
  const problem = repeated ? 'must be given once' : complaint(first)
  return new DiskferryError('INVALID_REQUEST', `${subject} ${problem}.`)
}
