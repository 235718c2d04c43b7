import { execFile, spawnSync } from 'node:child_process'

export interface CommandOptions {
  readonly input?: string | Buffer
  readonly env?: Readonly<Record<string, string>>
}

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

function failure(name: string, args: readonly string[], outcome: string, output: string): Error {
  return new Error(`${[name, ...args].join(' ')}: ${outcome}${output === '' ? '' : `\n${output.trim()}`}`)
}

/**
 * Runs a program to its end and gives its standard output.
 * @throws an Error with the command line and what it printed, unless it exits with 0.
 */
export function command(
  name: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      name,
      args,
      { maxBuffer: MAX_OUTPUT_BYTES, env: { ...process.env, LC_ALL: 'C', ...options.env } },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout)
        else reject(failure(name, args, `exit ${error.code ?? error.signal}`, stderr))
      },
    )
    // A program that exits without reading its input breaks the pipe; its exit code tells what matters.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(options.input)
  })
}

/** The same for exit handlers, which can't wait. */
export function commandSync(name: string, args: readonly string[]): string {
  const result = spawnSync(name, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
  if (result.error !== undefined) throw failure(name, args, result.error.message, '')
  if (result.status !== 0) throw failure(name, args, `exit ${result.status ?? result.signal}`, result.stderr)
  return result.stdout
}
