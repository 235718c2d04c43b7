import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Knows on which connections an answer is being sent or prepared. */
export class AnswersUnderWay {
  /** One connection may have several: pipelined requests. */
  readonly #responses = new WeakMap<Socket, Set<ServerResponse<IncomingMessage>>>()

  /** @param ended told of each answer that is over, complete or broken off, and of its connection */
  watch(server: Server, ended: (socket: Socket) => void): void {
    server.prependListener(
      'request',
      ({ socket }: IncomingMessage, response: ServerResponse<IncomingMessage>) => {
        const responses = this.#responses.get(socket) ?? new Set()
        this.#responses.set(socket, responses.add(response))
        response.once('close', () => {
          responses.delete(response)
          ended(socket)
        })
      },
    )
  }

  /** Is a request being received or answered, from its header on? */
  isAsked(socket: Socket): boolean {
    return (this.#responses.get(socket)?.size ?? 0) > 0
  }

  /** A request that is still being received has none yet: it may still be refused. */
  has(socket: Socket): boolean {
    const responses = [...(this.#responses.get(socket) ?? [])]
    return responses.some((response) => response.headersSent || response.req.complete)
  }
}
