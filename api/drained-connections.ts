import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { AnswersUnderWay } from './answers-under-way.ts'

interface Connection {
  /** Of the TLS in it once that is established. */
  socket: Socket
}

/**
 * The open connections of a server. From `drain` on each is ended as soon as no answer is under way on it. Node closes only
 * those that have asked before and wait: one that never asked, or never finished its handshake, would hold up the end.
 */
export class DrainedConnections {
  readonly answers = new AnswersUnderWay()
  readonly #open = new Map<string, Connection>()
  #draining = false

  watch(server: Server): void {
    server.prependListener('connection', (socket: Socket) => {
      const key = ends(socket)
      const connection: Connection = { socket }
      this.#open.set(key, connection)
      socket.once('close', () => {
        if (this.#open.get(key) === connection) this.#open.delete(key)
      })
      this.#endIfDone(socket)
    })
    server.on('secureConnection', (socket: Socket) => {
      const connection = this.#open.get(ends(socket))
      if (connection !== undefined) connection.socket = socket
    })
    this.answers.watch(server, (socket) => this.#endIfDone(socket))
  }

  drain(): void {
    this.#draining = true
    for (const { socket } of this.#open.values()) this.#endIfDone(socket)
  }

  #endIfDone(socket: Socket): void {
    if (this.#draining && !this.answers.isAsked(socket)) socket.destroySoon()
  }
}

/** The same for a connection and for the TLS in it; node does not tell which belong together. */
function ends({ localAddress, remoteAddress, remotePort }: Socket): string {
  return `${localAddress} ${remoteAddress} ${remotePort}`
}
