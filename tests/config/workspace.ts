import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { type LoadedConfig, loadConfig } from '../../config/load-config.ts'
import { DiskferryError } from '../../core/errors.ts'

export const SECRET = 'b2f7c3a1'.repeat(8)

export interface Pems {
  readonly certificate: string
  readonly key: string
}

export interface Workspace extends AsyncDisposable {
  readonly folder: string
  /** A certificate, its key, and lines of TOML that name them together with a secret and a database. */
  readonly certificate: string
  readonly key: string
  path(name: string): string
  write(name: string, content: string | Buffer): Promise<string>
  /** A whole file: `top` before the first table, the required tables, then `tables`. */
  toml(top?: string, tables?: string): string
  load(text: string | Buffer): Promise<LoadedConfig>
  /** The lines of CONFIG_INVALID, without the name of the file. */
  problems(text: string | Buffer): Promise<readonly string[]>
}

export async function makePems(days: readonly [number, number] = [-1, 365]): Promise<Pems> {
  const at = (day: number) => new Date(Date.now() + day * 86_400_000)
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: at(days[0]),
    notAfterDate: at(days[1]),
  })
  return { certificate: made.cert, key: made.private }
}

const DEFAULT_PEMS = makePems()

/** A temporary folder in which a configuration can be good. */
export async function makeWorkspace(): Promise<Workspace> {
  const folder = await mkdtemp(join(tmpdir(), 'diskferry-config-'))
  const path = (name: string) => join(folder, name)
  const write = async (name: string, content: string | Buffer) => {
    await writeFile(path(name), content)
    await chmod(path(name), 0o600)
    return path(name)
  }
  const pems = await DEFAULT_PEMS
  const certificate = await write('server.pem', pems.certificate)
  const key = await write('server.key', pems.key)
  const load = async (text: string | Buffer) => loadConfig(await write('config.toml', text))
  return {
    folder,
    certificate,
    key,
    path,
    write,
    load,
    toml: (top = '', tables = '') =>
      `db_file = "${path('exporter.db')}"\n${top}\n[jwt]\nsecret = "${SECRET}"\n` +
      `[api.tls]\ncertificate = "${certificate}"\nkey = "${key}"\n${tables}\n`,
    problems: async (text) => {
      try {
        await load(text)
        return []
      } catch (error) {
        if (!(error instanceof DiskferryError) || error.code !== 'CONFIG_INVALID') throw error
        return error.message.split('\n').map((line) => line.replace(path('config.toml'), 'FILE'))
      }
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}
