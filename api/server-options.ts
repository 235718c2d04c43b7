import type { ServerOptions } from 'node:https'
import type { SecureContextOptions } from 'node:tls'
import { DiskferryError } from '../core/errors.ts'

export interface TlsOptions {
  /** PEM, as are the others. */
  readonly cert: string | Buffer
  readonly key: string | Buffer
  /** Who signs the certificates of clients. */
  readonly ca?: string | Buffer
  readonly requireClientCertificate: boolean
}

/** The largest request body that is read. No route needs more than a user name and a password. */
export const BODY_LIMIT_BYTES = 64 * 1024
/** Until the header of a request is complete. */
const HEADERS_TIMEOUT_MS = 30_000
/** Until the whole request is there, its body included. It does not limit the answer. */
export const REQUEST_TIMEOUT_MS = 60_000
export const KEEP_ALIVE_TIMEOUT_MS = 60_000
const HANDSHAKE_TIMEOUT_MS = 30_000
/** A peer that vanished without a word is noticed by TCP's own probes, also while an answer is being prepared. */
const TCP_KEEP_ALIVE_DELAY_MS = 60_000

const connections = {
  headersTimeout: HEADERS_TIMEOUT_MS,
  connectionsCheckingInterval: 5000,
  // Ours says why.
  requireHostHeader: false,
  keepAlive: true,
  keepAliveInitialDelay: TCP_KEEP_ALIVE_DELAY_MS,
}

/** The part of the options that can be exchanged while the server runs. */
export function secureContext({ cert, key, ca }: TlsOptions): SecureContextOptions {
  return { cert, key, ...(ca !== undefined && { ca }), minVersion: 'TLSv1.2' }
}

/**
 * Options of node's server: encrypted with `tls`, plain without.
 * @throws CONFIG_INVALID when client certificates are required without saying who signs them
 */
export function serverOptions(
  tls: TlsOptions | undefined,
): { readonly https: ServerOptions } | { readonly http: ServerOptions } {
  if (tls === undefined) return { http: connections }
  const { ca, requireClientCertificate } = tls
  if (requireClientCertificate && ca === undefined) {
    // Without it node would trust every public authority.
    throw new DiskferryError(
      'CONFIG_INVALID',
      'Client certificates are required, but no authority is named that signs them: set api.tls.ca_certificate.',
    )
  }
  return {
    https: {
      ...connections,
      ...secureContext(tls),
      requestCert: requireClientCertificate,
      rejectUnauthorized: requireClientCertificate,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    },
  }
}
