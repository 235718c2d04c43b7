import { createHash } from 'node:crypto'
import { parse, TomlError } from 'smol-toml'
import { DiskferryError, describe } from '../core/errors.ts'
import { buildConfig } from './build-config.ts'
import { checkDocument } from './check-document.ts'
import { checkFiles } from './check-files.ts'
import { checkRelations } from './check-relations.ts'
import type { CheckedValues } from './checked-values.ts'
import type { Config } from './config.ts'
import { keyLines } from './key-lines.ts'
import { Problems } from './problems.ts'
import { readBoundedFile } from './read-bounded-file.ts'

export interface LoadedConfig {
  readonly config: Config
  /** What should be put right, one line each: `FILE:LINE: key: what is wrong; what to do`. */
  readonly warnings: readonly string[]
}

const MAX_FILE_BYTES = 1024 * 1024

/** Arrays and inline tables in each other; the schema needs 4. */
const MAX_NESTING = 32

/** SHA-256 of the secret printed in the README of the Coriolis OVM exporter: the whole world can sign with it. */
const PUBLISHED_SECRET = '4d52bc2f2a1489b6bcde025a04a7c18c92c8cb6e280b309e10b473fff431ea15'

/**
 * Reads and checks a configuration file, and the certificates and folders that it names.
 * @throws CONFIG_INVALID with all problems, one line each: `FILE:LINE: key: what is wrong; what to do`. No line
 * holds a secret or a password hash.
 */
export async function loadConfig(path: string): Promise<LoadedConfig> {
  const file = await readBoundedFile(path, MAX_FILE_BYTES)
  if ('problem' in file) throw new DiskferryError('CONFIG_INVALID', `${path}: ${file.problem}`)
  const text = decode(path, file.bytes)
  const document = parseToml(path, text)
  const problems = new Problems(path, keyLines(text))
  const values = checkDocument(document, problems)
  checkRelations(values, problems)
  await checkFiles(values, problems)
  problems.throwIfAny()
  warnOfSecret(values, path, file.mode, problems)
  return { config: buildConfig(values), warnings: problems.warnings }
}

function decode(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new DiskferryError('CONFIG_INVALID', `${path}: is not UTF-8 text; save it as UTF-8`, { cause })
  }
}

function parseToml(path: string, text: string): Readonly<Record<string, unknown>> {
  try {
    return parse(text, { maxDepth: MAX_NESTING, unsafeKeyBehaviour: 'throw' })
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    // The error quotes the lines around the fault, where the secret may stand, so it is not kept as the cause.
    const [reason] = describe(error).replace('Invalid TOML document: ', '').split('\n')
    const place = `${path}:${error.line}: column ${error.column}`
    throw new DiskferryError('CONFIG_INVALID', `${place}: is not TOML: ${reason}; correct the line`)
  }
}

function warnOfSecret(values: CheckedValues, path: string, mode: number, problems: Problems): void {
  const digest = createHash('sha256').update(values.get('jwt.secret')).digest('hex')
  if (digest === PUBLISHED_SECRET) {
    problems.warn(
      'jwt.secret',
      'is the one printed in the manual of the Coriolis OVM exporter, so anybody can log in; ' +
        'make another with `openssl rand -hex 32`',
    )
  }
  if ((mode & 0o077) !== 0) {
    problems.warn(
      '',
      `may be read by others (mode ${mode.toString(8)}) and holds the secret; \`chmod 600 ${path}\``,
    )
  }
}
