import type { FastifyRequest } from 'fastify'
import type { DeleteOptions } from '../core/leases/lease.ts'
import { boolean } from './map-options.ts'

/** The query of a deletion, as its schema lets it through. */
export interface DeleteQuery {
  readonly force?: string
}

export function deleteOptions(request: FastifyRequest<{ Querystring: DeleteQuery }>): DeleteOptions {
  const user = request.user?.user
  return { force: boolean(request.query.force, false), ...(typeof user === 'string' && { user }) }
}
