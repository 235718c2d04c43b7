import type { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'

/**
 * A client that takes nothing for this long is given up, so that it doesn't hold a disk open for ever. A slow one
 * is not: every write that it takes whole, of 1 MiB at most, starts the time anew.
 */
const STALLED_CLIENT_MS = 10 * 60 * 1000

/** Answers with a stream, whose end or breaking off ends the answer. */
export function sendStream(
  reply: FastifyReply,
  body: Readable,
  stalledClientMs = STALLED_CLIENT_MS,
): FastifyReply {
  reply.raw.setTimeout(stalledClientMs, () => reply.raw.destroy())
  return reply.send(body)
}
