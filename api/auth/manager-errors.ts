import { DiskferryError, describe } from '../../core/errors.ts'

interface ChangedCertificate {
  readonly host: string
  readonly pinned: string
  readonly shown: string
  readonly howToAccept: string
}

/** What to look at for the `code` of an error of the network or of TLS. */
const HINTS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nothing listens there; start the manager, or correct ovm_endpoint'],
  ['ECONNRESET', 'it hung up; check that the manager speaks TLS there'],
  ['ENOTFOUND', 'the name is not known; correct ovm_endpoint, or the resolver of this host'],
  ['EAI_AGAIN', 'the name server does not answer; check the resolver of this host'],
  ['EHOSTUNREACH', 'there is no way to that host; check the network'],
  ['ENETUNREACH', 'there is no way to that network; check the routes of this host'],
  ['ETIMEDOUT', 'nothing answers there; check the network and the firewall'],
  ['CERT_HAS_EXPIRED', 'its certificate has expired; renew it, or use ovm.tls = "pin"'],
  [
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'its certificate is not signed by ovm.ca_certificate; correct that, or use "pin"',
  ],
  [
    'SELF_SIGNED_CERT_IN_CHAIN',
    'its certificate is not signed by ovm.ca_certificate; correct that, or use "pin"',
  ],
  [
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'its certificate is not signed by ovm.ca_certificate; correct that, or use "pin"',
  ],
  [
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'its certificate is not signed by ovm.ca_certificate; correct that, or use "pin"',
  ],
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'its certificate is for another name; use that name in ovm_endpoint, or use "pin"',
  ],
])

const CLIENT_MESSAGE = 'The OVM manager that checks passwords could not be asked; try again later.'
const GENERAL_HINT = 'check that the manager runs there and that this host can reach it'

/** Nobody could be asked whether a password is right. */
export function managerUnreachable(where: string, why: string, cause?: unknown): DiskferryError {
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : ''
  const reason = [why, code].filter((part) => part !== '').join(', ')
  return new DiskferryError(
    'MANAGER_UNREACHABLE',
    `the OVM manager could not be asked at ${where}: ${reason}; ${HINTS.get(code) ?? GENERAL_HINT}`,
    { cause, clientMessage: CLIENT_MESSAGE },
  )
}

/** Neither the configuration nor the agent's database gave the address of the manager. */
export function addressUnknown(cause: unknown): DiskferryError {
  return new DiskferryError(
    'MANAGER_UNREACHABLE',
    `the address of the OVM manager is not known: ${describe(cause)}; set ovm_endpoint in the configuration`,
    { cause, clientMessage: CLIENT_MESSAGE },
  )
}

/** The password was not sent. */
export function certificateChanged({ host, pinned, shown, howToAccept }: ChangedCertificate): DiskferryError {
  return new DiskferryError(
    'MANAGER_CERTIFICATE_CHANGED',
    `the OVM manager at ${host} shows another certificate than before, so no password was sent to it. ` +
      `Trusted: SHA-256 ${pinned}. Shown now: SHA-256 ${shown}. If the manager got a new certificate, compare ` +
      `it there, then ${howToAccept}; if it did not, somebody may sit between this host and the manager`,
    {
      clientMessage:
        "The OVM manager's certificate has changed, so no password was sent to it. Tell the administrator.",
    },
  )
}
