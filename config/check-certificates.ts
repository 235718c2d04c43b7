import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { describe, systemCode } from '../core/errors.ts'
import type { Problems } from './problems.ts'
import { readBoundedFile } from './read-bounded-file.ts'

/** A bundle of every public authority is a quarter of this. */
const MAX_PEM_BYTES = 1024 * 1024

const CERTIFICATE_KEY = 'api.tls.certificate'
const PRIVATE_KEY_KEY = 'api.tls.key'
const CERTIFICATE_BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/** Checks that the server's certificate and its key can be read, parsed, belong together and may be used. */
export async function checkServerCertificate(
  certificatePath: string,
  keyPath: string,
  problems: Problems,
): Promise<void> {
  const chain = await readCertificates(CERTIFICATE_KEY, certificatePath, problems)
  const key = await readPrivateKey(keyPath, problems)
  const certificate = chain?.certificates[0]
  if (chain === undefined || certificate === undefined) return
  warnOfDates(certificate, certificatePath, problems)
  if (key === undefined) return
  if (!certificate.checkPrivateKey(key.key)) {
    problems.report(
      PRIVATE_KEY_KEY,
      `${keyPath} is not the key of the certificate ${certificatePath}; name the pair that was made together`,
    )
    return
  }
  try {
    createSecureContext({ cert: chain.pem, key: key.pem })
  } catch (error) {
    problems.report(
      CERTIFICATE_KEY,
      `${certificatePath} is refused by TLS (${describe(error)}); make a new one`,
    )
  }
}

/** Checks a file of certificates that others are verified against. */
export async function checkAuthority(key: string, path: string, problems: Problems): Promise<void> {
  const authority = await readCertificates(key, path, problems)
  for (const certificate of authority?.certificates ?? []) warnOfDates(certificate, path, problems, key)
}

interface Chain {
  readonly pem: string
  readonly certificates: readonly X509Certificate[]
}

async function readCertificates(key: string, path: string, problems: Problems): Promise<Chain | undefined> {
  const file = await readBoundedFile(path, MAX_PEM_BYTES)
  if ('problem' in file) {
    problems.report(key, `${path} ${file.problem}`)
    return undefined
  }
  const pem = file.bytes.toString('latin1')
  const blocks = pem.match(CERTIFICATE_BLOCK) ?? []
  if (blocks.length === 0) {
    problems.report(key, `${path} holds no PEM certificate; it must have a line -----BEGIN CERTIFICATE-----`)
    return undefined
  }
  const certificates: X509Certificate[] = []
  for (const [index, block] of blocks.entries()) {
    try {
      certificates.push(new X509Certificate(block))
    } catch (error) {
      const which = blocks.length === 1 ? 'the certificate' : `certificate ${index + 1} of ${blocks.length}`
      problems.report(key, `${which} in ${path} can't be parsed (${describe(error)}); copy it again`)
      return undefined
    }
  }
  return { pem, certificates }
}

interface PrivateKey {
  readonly pem: string
  readonly key: KeyObject
}

async function readPrivateKey(path: string, problems: Problems): Promise<PrivateKey | undefined> {
  const file = await readBoundedFile(path, MAX_PEM_BYTES)
  if ('problem' in file) {
    problems.report(PRIVATE_KEY_KEY, `${path} ${file.problem}`)
    return undefined
  }
  if ((file.mode & 0o007) !== 0) {
    problems.warn(PRIVATE_KEY_KEY, `${path} may be read by every user of this host; \`chmod o= ${path}\``)
  }
  const pem = file.bytes.toString('latin1')
  try {
    return { pem, key: createPrivateKey(pem) }
  } catch (error) {
    problems.report(PRIVATE_KEY_KEY, `${path} ${keyProblem(pem, error)}`)
    return undefined
  }
}

/** The parser's own words are left out but for its code: nothing of a key may get into a message. */
function keyProblem(pem: string, error: unknown): string {
  if (pem.includes('ENCRYPTED')) {
    return 'has a passphrase, and nobody could type it at boot; remove it with `openssl pkey -in OLD -out NEW`'
  }
  if (!pem.includes('PRIVATE KEY-----')) return 'holds no PEM private key; name the file of the key'
  return `can't be parsed (${systemCode(error) ?? 'not a private key'}); copy it again`
}

function warnOfDates(
  certificate: X509Certificate,
  path: string,
  problems: Problems,
  key: string = CERTIFICATE_KEY,
): void {
  const now = Date.now()
  if (now > Date.parse(certificate.validTo)) {
    problems.warn(key, `${path} expired on ${certificate.validTo}; clients will refuse it, renew it`)
  } else if (now < Date.parse(certificate.validFrom)) {
    problems.warn(key, `${path} is not valid before ${certificate.validFrom}; check the clock of this host`)
  }
}
