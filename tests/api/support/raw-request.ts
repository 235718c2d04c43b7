import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import type { ApiServer } from './server.ts'

/** A TLS connection to the server, for what no HTTP client would send. */
export async function rawConnection(server: ApiServer): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: server.port, ca: server.certificates.cert })
  await once(socket, 'secureConnect')
  return socket
}

/** Sends text and gives everything that the server answers until it closes the connection. */
export async function rawRequest(server: ApiServer, parts: readonly string[]): Promise<string> {
  const socket = await rawConnection(server)
  const received: Buffer[] = []
  socket.on('data', (data: Buffer) => received.push(data))
  // The server may close before it has read everything.
  socket.on('error', () => undefined)
  const closed = once(socket, 'close')
  for (const part of parts) socket.write(part)
  await closed
  return Buffer.concat(received).toString()
}
