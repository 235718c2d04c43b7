import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generate } from 'selfsigned'

export interface CertificateFiles {
  readonly certificate: string
  readonly key: string
  /** The certificate itself, PEM, for a client that trusts only it. */
  readonly pem: string
}

/** A certificate for 127.0.0.1 and localhost, signed by itself, in `server.pem` and `server.key` of a folder. */
export async function makeCertificate(directory: string): Promise<CertificateFiles> {
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 7, ip: '127.0.0.1' },
          { type: 2, value: 'localhost' },
        ],
      },
    ],
  })
  const certificate = join(directory, 'server.pem')
  const key = join(directory, 'server.key')
  await writeFile(certificate, made.cert)
  await writeFile(key, made.private, { mode: 0o600 })
  return { certificate, key, pem: made.cert }
}
