import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Knows on which connections an answer is being sent. One may have several to send: pipelined requests. */
export class AnswersUnderWay {
  readonly #counts = new WeakMap<Socket, number>()

  watch(server: Server): void {
    server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
      this.#add(socket, 1)
      response.once('close', () => this.#add(socket, -1))
    })
  }

  has(socket: Socket): boolean {
    return (this.#counts.get(socket) ?? 0) > 0
  }

  #add(socket: Socket, change: number): void {
    this.#counts.set(socket, (this.#counts.get(socket) ?? 0) + change)
  }
}
