import { randomBytes } from 'node:crypto'
import { createSecureContext, Server } from 'node:tls'
import { secureContext, type TlsOptions } from './server-options.ts'

/** RFC 5077 keys as node takes them: name, HMAC and AES, 16 bytes each. */
const TICKET_KEY_BYTES = 48

/**
 * Shows other certificates from the next connection on. Those that are open, and what is downloaded over them, go on. A
 * client can't resume a session of before: with client certificates it must show one that the new authority signed.
 *
 * @throws node's error when the files can't be used; then nothing is changed
 */
export function replaceCertificates(server: object, tls: TlsOptions): void {
  if (!(server instanceof Server)) return
  const context = secureContext(tls)
  createSecureContext(context)
  const ticketKeys = randomBytes(TICKET_KEY_BYTES)
  server.setSecureContext({ ...context, ticketKeys } as Parameters<Server['setSecureContext']>[0])
}
