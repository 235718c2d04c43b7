import { generate } from 'selfsigned'

export interface Certificates {
  readonly cert: string
  readonly key: string
  readonly clientCert: string
  readonly clientKey: string
}

/** A certificate for 127.0.0.1 and localhost, and one for a client that the first one signed. */
export async function makeCertificates(): Promise<Certificates> {
  const made = await generate([{ name: 'commonName', value: 'diskferry test' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    clientCertificate: { cn: 'client' },
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  })
  return {
    cert: made.cert,
    key: made.private,
    clientCert: made.clientcert!,
    clientKey: made.clientprivate!,
  }
}
