import type { FastifyPluginAsync } from 'fastify'
import type { Audits } from '../../core/audit/audit.ts'
import { DiskferryError } from '../../core/errors.ts'
import { auditJson } from '../audit-json.ts'
import { type AuditBody, auditBody } from '../schemas/audit.ts'
import { type SnapshotParams, snapshotParams } from '../schemas/params.ts'
import { errorResponses } from '../schemas/responses.ts'

export interface AuditRoutesOptions {
  readonly audits: Audits
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    throw new DiskferryError(
      'INVALID_REQUEST',
      'The body is not JSON in UTF-8. Send {"compareTo": "<id of an older snapshot>"}.',
      { cause },
    )
  }
}

const URL = '/vms/:vm/snapshots/:snapshot/audit'
const audit = { $ref: 'Audit#' }

export const auditRoutes: FastifyPluginAsync<AuditRoutesOptions> = async (app, { audits }) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) =>
    parseJson(body),
  )

  app.post<{ Params: SnapshotParams; Body: AuditBody }>(
    URL,
    {
      schema: {
        operationId: 'startAudit',
        summary: 'Begin to compare by content what a difference does not report',
        params: snapshotParams,
        body: auditBody,
        response: { 202: audit, ...errorResponses },
      },
    },
    async (request, reply) => {
      const { vm, snapshot } = request.params
      const { compareTo, sample, seed, rate } = request.body
      const started = await audits.start(vm, snapshot, {
        compareTo,
        ...(sample !== undefined && { sample }),
        ...(seed !== undefined && { seed }),
        ...(rate !== undefined && { rate }),
      })
      return reply.code(202).send(auditJson(started))
    },
  )

  app.get<{ Params: SnapshotParams }>(
    URL,
    {
      schema: {
        operationId: 'getAudit',
        summary: 'The last audit of a snapshot: how far it is, or what it found out',
        params: snapshotParams,
        response: { 200: audit, ...errorResponses },
      },
    },
    async ({ params }) => auditJson(await audits.get(params.vm, params.snapshot)),
  )
}

/** Apart from the others: a body that a client sends with DELETE is not looked at, as on every DELETE. */
export const abortAuditRoute: FastifyPluginAsync<AuditRoutesOptions> = async (app, { audits }) => {
  app.delete<{ Params: SnapshotParams }>(
    URL,
    {
      schema: {
        operationId: 'abortAudit',
        summary: 'End an audit; answers when it has ended',
        params: snapshotParams,
        response: { 200: audit, ...errorResponses },
      },
    },
    async ({ params }) => auditJson(await audits.abort(params.vm, params.snapshot)),
  )
}
