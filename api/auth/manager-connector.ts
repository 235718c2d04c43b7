import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'

/** Makes the connection that undici sends a login over, and lets go of it at the end whatever happened. */
export class ManagerConnector implements Disposable {
  readonly #tls: ConnectionOptions
  readonly #accept: (fingerprint: string) => void
  #socket: Socket | undefined

  /**
   * @param accept gets the fingerprint of the certificate (SHA-256, `AB:CD:...`) after the handshake, which proves
   * that the other side has the key, and before a byte of the request is sent; it throws to break off
   */
  constructor(tls: ConnectionOptions, accept: (fingerprint: string) => void) {
    this.#tls = tls
    this.#accept = accept
  }

  readonly connect: buildConnector.connector = ({ protocol, hostname, port }, callback) => {
    const isTls = protocol === 'https:'
    const to = { host: hostname, port: Number(port || (isTls ? 443 : 80)) }
    // SNI takes names only: RFC 6066, section 3.
    const name = isIP(hostname) === 0 ? { servername: hostname } : {}
    const socket = isTls
      ? connectTls({ ...this.#tls, ...to, ...name, ALPNProtocols: ['http/1.1'] })
      : connectTcp(to)
    this.#socket = socket
    let settled = false
    const settle = (error: Error | undefined) => {
      if (settled) return
      settled = true
      if (error === undefined) callback(null, socket)
      else callback(error, null)
    }
    socket.on('error', settle)
    socket.once('close', () => settle(new Error('the connection was closed before it was ready')))
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      try {
        if (isTls) this.#accept(fingerprintOf(socket as TLSSocket))
        settle(undefined)
      } catch (error) {
        socket.destroy()
        settle(error as Error)
      }
    })
  };

  [Symbol.dispose](): void {
    this.#socket?.destroy()
  }
}

function fingerprintOf(socket: TLSSocket): string {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) throw new Error('it showed no certificate')
  return certificate.fingerprint256
}
