import { Readable } from 'node:stream'
import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import type { SnapshotMap, Snapshots } from '../../core/services.ts'
import { audited } from '../audit-log.ts'
import { type DeleteQuery, deleteOptions } from '../delete-options.ts'
import { mapOptions, type SnapshotQuery } from '../map-options.ts'
import { deleteQuery } from '../schemas/delete-query.ts'
import { type SnapshotParams, snapshotParams, type VmParams, vmParams } from '../schemas/params.ts'
import { emptyResponse, errorResponses } from '../schemas/responses.ts'
import { snapshotQuery } from '../schemas/snapshot-query.ts'
import { snapshotJson, snapshotListJson } from '../snapshot-json.ts'
import { sendStream } from '../stream-answer.ts'

export interface SnapshotRoutesOptions {
  readonly snapshots: Snapshots
}

function sendJson(reply: FastifyReply, text: AsyncIterable<string>): FastifyReply {
  return sendStream(reply.type('application/json; charset=utf-8'), Readable.from(text))
}

function sendSnapshot(reply: FastifyReply, snapshot: SnapshotMap): FastifyReply {
  return sendJson(reply, snapshotJson(snapshot))
}

export const snapshotRoutes: FastifyPluginAsync<SnapshotRoutesOptions> = async (app, { snapshots }) => {
  app.get<{ Params: VmParams }>(
    '/vms/:vm/snapshots',
    {
      schema: {
        operationId: 'listSnapshots',
        summary: 'Every snapshot of a VM, oldest first, chunks squashed',
        params: vmParams,
        response: { 200: { type: 'array', items: { $ref: 'Snapshot#' } }, ...errorResponses },
      },
    },
    async (request, reply) => {
      const list = await snapshots.list(request.params.vm, { squash: true }, request.clientSignal)
      return sendJson(reply, snapshotListJson(list))
    },
  )

  app.post<{ Params: VmParams }>(
    '/vms/:vm/snapshots',
    {
      config: { audit: 'snapshot.create' },
      schema: {
        operationId: 'createSnapshot',
        summary: 'Snapshot every disk of a VM; chunks not squashed',
        params: vmParams,
        response: { 200: { $ref: 'Snapshot#' }, ...errorResponses },
      },
    },
    // With the signal: a snapshot whose id nobody learned is rolled back.
    async (request, reply) => {
      const { vm } = request.params
      const snapshot = await audited(request, {}, async (fields) => {
        const made = await snapshots.create(vm, { squash: false }, request.clientSignal)
        fields.snapshot = made.id
        return made
      })
      return sendSnapshot(reply, snapshot)
    },
  )

  app.delete<{ Params: VmParams; Querystring: DeleteQuery }>(
    '/vms/:vm/snapshots',
    {
      config: { audit: 'snapshot.purge' },
      schema: {
        operationId: 'purgeSnapshots',
        summary: 'Delete every snapshot of a VM',
        params: vmParams,
        querystring: deleteQuery,
        response: { 200: emptyResponse('Deleted'), ...errorResponses },
      },
    },
    // Without the signal, as below: what is begun is finished, with or without the client.
    async (request, reply) => {
      const { vm } = request.params
      await audited(request, {}, () => snapshots.purge(vm, deleteOptions(request)))
      return reply.send()
    },
  )

  app.get<{ Params: SnapshotParams; Querystring: SnapshotQuery }>(
    '/vms/:vm/snapshots/:snapshot',
    {
      schema: {
        operationId: 'getSnapshot',
        summary: 'One snapshot: what it holds, or what changed since an older one',
        params: snapshotParams,
        querystring: snapshotQuery,
        response: { 200: { $ref: 'Snapshot#' }, ...errorResponses },
      },
    },
    async (request, reply) => {
      const { vm, snapshot } = request.params
      return sendSnapshot(
        reply,
        await snapshots.get(vm, snapshot, mapOptions(request.query), request.clientSignal),
      )
    },
  )

  app.delete<{ Params: SnapshotParams; Querystring: DeleteQuery }>(
    '/vms/:vm/snapshots/:snapshot',
    {
      config: { audit: 'snapshot.delete' },
      schema: {
        operationId: 'deleteSnapshot',
        summary: 'Delete one snapshot',
        params: snapshotParams,
        querystring: deleteQuery,
        response: { 200: emptyResponse('Deleted, or already gone'), ...errorResponses },
      },
    },
    async (request, reply) => {
      const { vm, snapshot } = request.params
      await audited(request, {}, () => snapshots.delete(vm, snapshot, deleteOptions(request)))
      return reply.send()
    },
  )
}
