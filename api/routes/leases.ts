import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { parseGoDuration } from '../../config/go-duration.ts'
import { DiskferryError } from '../../core/errors.ts'
import { LEASE_TTL_MS, type Leases } from '../../core/leases/lease.ts'
import { audited } from '../audit-log.ts'
import { type LeaseBody, leaseBody, type ReleaseQuery, releaseQuery } from '../schemas/lease.ts'
import { type SnapshotParams, snapshotParams } from '../schemas/params.ts'
import { emptyResponse, errorResponses } from '../schemas/responses.ts'
import { leaseJson } from '../snapshot-json.ts'

export interface LeaseRoutesOptions {
  readonly leases: Leases
}

const ROUTE = '/vms/:vm/snapshots/:snapshot/lease'
const EXAMPLE = '{"ttl": "24h", "holder": "..."}'
const OK = { $ref: 'Lease#' }

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw new DiskferryError('INVALID_REQUEST', `The body is not JSON in UTF-8. Send ${EXAMPLE}.`)
  }
}

function milliseconds(ttl: string): number {
  const parsed = parseGoDuration(ttl)
  if (parsed !== undefined && parsed >= LEASE_TTL_MS.least && parsed <= LEASE_TTL_MS.most)
    return Math.floor(parsed)
  throw new DiskferryError(
    'INVALID_REQUEST',
    'ttl in the body must be a duration such as "24h" or "90m", from 1s to 744h.',
  )
}

export const leaseRoutes: FastifyPluginAsync<LeaseRoutesOptions> = async (app, { leases }) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) =>
    request.method === 'PUT' ? parseJson(body) : undefined,
  )

  app.get<{ Params: SnapshotParams }>(
    ROUTE,
    {
      schema: {
        operationId: 'getLease',
        summary: 'Who holds a lease of a snapshot, and until when',
        params: snapshotParams,
        response: { 200: OK, ...errorResponses },
      },
    },
    async (request) => leaseJson(await leases.get(request.params.vm, request.params.snapshot)),
  )

  app.put<{ Params: SnapshotParams; Body: LeaseBody }>(
    ROUTE,
    {
      config: { audit: 'lease.take' },
      schema: {
        operationId: 'takeLease',
        summary: 'Keep a snapshot from being deleted for a while, or for longer',
        params: snapshotParams,
        body: leaseBody,
        response: { 200: OK, ...errorResponses },
      },
    },
    async (request) => {
      const { vm, snapshot } = request.params
      const { holder, ttl } = request.body
      // The holder too: several may share a token's user.
      const lease = await audited(request, { holder }, async (fields) => {
        const wanted = { holder, ttlMs: milliseconds(ttl) }
        const taken = await leases.take(vm, snapshot, wanted, request.clientSignal)
        fields.expires_at = taken.expiresAt
        return taken
      })
      return leaseJson(lease)
    },
  )

  app.delete<{ Params: SnapshotParams; Querystring: ReleaseQuery }>(
    ROUTE,
    {
      config: { audit: 'lease.release' },
      schema: {
        operationId: 'releaseLease',
        summary: 'End a lease',
        params: snapshotParams,
        querystring: releaseQuery,
        response: { 200: emptyResponse('Ended, or there was none'), ...errorResponses },
      },
    },
    async (request, reply) => {
      const { vm, snapshot } = request.params
      const { holder } = request.query
      await audited(request, { holder }, () => leases.release(vm, snapshot, holder))
      return reply.send()
    },
  )
}
