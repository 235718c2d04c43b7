import { checkAuthority, checkServerCertificate } from './check-certificates.ts'
import type { TlsFiles } from './config.ts'
import { Problems } from './problems.ts'

/**
 * Checks the files again that were good when the configuration was loaded.
 * @param configFile for messages
 * @returns warnings, one line each
 * @throws CONFIG_INVALID
 */
export async function checkTlsFiles(tls: TlsFiles, configFile: string): Promise<readonly string[]> {
  const problems = new Problems(configFile, new Map())
  if (tls.caCertificate !== undefined) {
    await checkAuthority('api.tls.ca_certificate', tls.caCertificate, problems)
  }
  await checkServerCertificate(tls.certificate, tls.key, problems)
  problems.throwIfAny()
  return problems.warnings
}
