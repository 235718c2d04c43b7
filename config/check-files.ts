import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemCode } from '../core/errors.ts'
import { checkAuthority, checkServerCertificate } from './check-certificates.ts'
import type { CheckedValues } from './checked-values.ts'
import type { Problems } from './problems.ts'
import { fileProblem } from './read-bounded-file.ts'

/** Checks the files and folders that the configuration names. Makes none of them. */
export async function checkFiles(values: CheckedValues, problems: Problems): Promise<void> {
  for (const key of ['db_file', 'log_file'] as const) {
    const path = values.find(key)
    if (path !== undefined) await checkWrittenFile(key, path, problems)
  }
  for (const key of ['api.tls.ca_certificate', 'ovm.ca_certificate'] as const) {
    const path = values.find(key)
    if (path !== undefined) await checkAuthority(key, path, problems)
  }
  for (const key of ['quiesce.before', 'quiesce.after'] as const) {
    const program = values.find(key)?.[0]
    if (program === undefined) continue
    const problem = await problemOf(program, constants.X_OK, 'file')
    // It may be on something that is mounted later.
    if (problem !== undefined) problems.warn(key, `${program} ${problem}`)
  }
  const certificate = values.find('api.tls.certificate')
  const key = values.find('api.tls.key')
  if (certificate !== undefined && key !== undefined) await checkServerCertificate(certificate, key, problems)
}

async function checkWrittenFile(key: string, path: string, problems: Problems): Promise<void> {
  const folder = dirname(path)
  if (await isAbsent(folder)) {
    problems.report(key, `the folder ${folder} does not exist (ENOENT); make it with \`mkdir -p ${folder}\``)
    return
  }
  const folderProblem = await problemOf(folder, constants.W_OK | constants.X_OK, 'folder')
  if (folderProblem !== undefined) {
    problems.report(key, `the folder ${folder} ${folderProblem}`)
    return
  }
  if (await isAbsent(path)) return
  const problem = await problemOf(path, constants.R_OK | constants.W_OK, 'file')
  if (problem !== undefined) problems.report(key, `${path} ${problem}`)
}

async function problemOf(path: string, rights: number, kind: 'file' | 'folder'): Promise<string | undefined> {
  try {
    const found = await stat(path)
    if (kind === 'folder' ? !found.isDirectory() : !found.isFile())
      return `is not a ${kind}; correct the path`
    await access(path, rights)
    return undefined
  } catch (error) {
    return fileProblem(error)
  }
}

async function isAbsent(path: string): Promise<boolean> {
  try {
    await stat(path)
    return false
  } catch (error) {
    return systemCode(error) === 'ENOENT'
  }
}
