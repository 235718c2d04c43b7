import { HOLDER_CHARACTERS } from '../../core/leases/lease.ts'

const holder = {
  type: 'string',
  minLength: 1,
  maxLength: HOLDER_CHARACTERS,
  pattern: '^\\P{Cc}+$',
  description: 'Who holds it, in the words of the client.',
}

export const leaseSchema = {
  $id: 'Lease',
  type: 'object',
  required: ['holder', 'taken_at', 'expires_at'],
  additionalProperties: false,
  properties: {
    holder,
    taken_at: { type: 'string', format: 'date-time', description: 'Taken, or last renewed.' },
    expires_at: { type: 'string', format: 'date-time' },
  },
}

export const leaseBody = {
  type: 'object',
  required: ['ttl', 'holder'],
  properties: {
    ttl: { type: 'string', maxLength: 64, description: 'A duration such as "24h" or "90m", 1s to 744h.' },
    holder,
  },
}

export const releaseQuery = {
  type: 'object',
  properties: { holder: { ...holder, description: 'End the lease only if this is who holds it.' } },
}

export interface LeaseBody {
  readonly ttl: string
  readonly holder: string
}

export interface ReleaseQuery {
  readonly holder?: string
}
