import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import { ClientCount } from './client-count.ts'

/** Closes connections of a client beyond the limit, before a byte of them is looked at. */
export function limitConnections(server: Server, perClient: number, logger: FastifyBaseLogger): void {
  const connections = new ClientCount(perClient)
  // The connection itself, below TLS: one that never shakes hands counts as well.
  server.prependListener('connection', (socket: Socket) => {
    const address = socket.remoteAddress
    const release = address === undefined ? undefined : connections.take(address)
    if (release === undefined) {
      logger.debug({ client: address, limit: perClient }, 'connection refused: this client has too many')
      socket.destroy()
      return
    }
    socket.once('close', release)
  })
}
