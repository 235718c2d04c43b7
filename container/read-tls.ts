import { readFile } from 'node:fs/promises'
import type { Config } from '../config/config.ts'

/** The certificates as they are in the configured files now. @throws node's error */
export async function readTls({ api }: Config) {
  const { certificate, key, caCertificate } = api.tls
  const requireClientCertificate = api.clientCertificates === 'required'
  return {
    cert: await readFile(certificate),
    key: await readFile(key),
    requireClientCertificate,
    ...(requireClientCertificate && caCertificate !== undefined && { ca: await readFile(caCertificate) }),
  }
}
