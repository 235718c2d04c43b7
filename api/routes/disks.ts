import { once } from 'node:events'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { DiskferryError } from '../../core/errors.ts'
import type { OpenDisk, Snapshots } from '../../core/services.ts'
import { ClientCount } from '../client-count.ts'
import { answerForDisk, type DiskAnswer } from '../disk-answer.ts'
import { DiskBytes } from '../disk-bytes.ts'
import { type DiskParams, diskParams } from '../schemas/params.ts'
import { emptyResponse, errorResponses } from '../schemas/responses.ts'
import { sendStream } from '../stream-answer.ts'

export interface DiskRoutesOptions {
  readonly downloadsPerClient: number
  readonly snapshots: Snapshots
}

const bytes = {
  content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
}

const response = {
  200: { description: 'The whole disk', ...bytes },
  206: { description: 'The ranges asked for; several as multipart/byteranges', ...bytes },
  304: emptyResponse('The client has these bytes already'),
  ...errorResponses,
}

/** Decides the answer. The disk is closed here, unless the answer has a body: then that owns it. */
async function prepare(
  disk: OpenDisk,
  request: FastifyRequest<{ Params: DiskParams }>,
): Promise<{ readonly answer: DiskAnswer; readonly body: DiskBytes | undefined }> {
  const { vm, snapshot, disk: name } = request.params
  let body: DiskBytes | undefined
  try {
    const answer = answerForDisk(request.headers, disk)
    if (request.method !== 'HEAD' && answer.segments.length > 0) {
      body = new DiskBytes(disk, answer.segments, `Disk ${name} of snapshot ${snapshot} of VM ${vm}`)
    }
    return { answer, body }
  } finally {
    if (body === undefined) await disk[Symbol.asyncDispose]()
  }
}

/** Waits for the first bytes, so that a disk that cannot be read at all gets a whole error answer. */
async function begin(body: DiskBytes, signal: AbortSignal | undefined): Promise<void> {
  try {
    await once(body, 'readable', { signal })
  } catch (error) {
    body.destroy()
    throw error
  }
}

/** @throws TOO_MANY_DOWNLOADS */
function takeTurn(downloads: ClientCount, request: FastifyRequest, reply: FastifyReply): void {
  const release = downloads.take(request.ip)
  if (release === undefined) {
    const message = 'this client has as many downloads under way as it may; finish one first'
    throw new DiskferryError('TOO_MANY_DOWNLOADS', message, { retryAfterSeconds: 1 })
  }
  reply.raw.once('close', release)
}

export const diskRoutes: FastifyPluginAsync<DiskRoutesOptions> = async (
  app,
  { snapshots, downloadsPerClient },
) => {
  const downloads = new ClientCount(downloadsPerClient)

  async function handler(
    request: FastifyRequest<{ Params: DiskParams }>,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const { vm, snapshot, disk: name } = request.params
    if (request.method !== 'HEAD') takeTurn(downloads, request, reply)
    const disk = await snapshots.openDisk(vm, snapshot, name)
    const { answer, body } = await prepare(disk, request)
    if (body !== undefined) await begin(body, request.clientSignal)
    reply.headers(answer.headers)
    if (answer.refusal !== undefined) throw answer.refusal
    reply.code(answer.status)
    return body === undefined ? reply.send() : sendStream(reply, body)
  }

  const url = '/vms/:vm/snapshots/:snapshot/disks/:disk'
  app.get<{ Params: DiskParams }>(
    url,
    {
      schema: {
        operationId: 'readDisk',
        summary: 'Bytes of a disk, all or by ranges',
        params: diskParams,
        response,
      },
    },
    handler,
  )
  app.head<{ Params: DiskParams }>(
    url,
    {
      config: { swagger: { exposeHeadRoute: true } },
      schema: {
        operationId: 'inspectDisk',
        summary: 'The same as GET without the bytes',
        params: diskParams,
        response,
      },
    },
    handler,
  )
}
