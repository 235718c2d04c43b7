import { execFile } from 'node:child_process'

/**
 * What npm tells the programs it starts, which would lead an npm in another folder back to this project; and what node's
 * test runner tells its files, which makes a test runner within one do nothing and succeed.
 */
const OF_THIS_RUN = /^(npm_(package|lifecycle|command)|npm_config_local_prefix$|INIT_CWD$|NODE_TEST_CONTEXT$)/

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

/** The environment of a shell: as if this process had been started neither by npm nor by a test runner. */
export function shellEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !OF_THIS_RUN.test(name)))
}

/**
 * Runs npm in a folder and gives its standard output.
 * @throws an Error with all that it printed, unless it exits with 0
 */
export function npm(
  cwd: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      'npm',
      args,
      { cwd, maxBuffer: MAX_OUTPUT_BYTES, env: { ...shellEnvironment(), ...env } },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout)
        else
          reject(new Error(`npm ${args.join(' ')} in ${cwd}: ${error.message}\n${stdout}`, { cause: stderr }))
      },
    )
  })
}

/**
 * Installs packages in a folder. What has to be compiled is compiled without optimisation: the tests ask whether it
 * builds and works, not how fast it is.
 */
export function npmInstall(cwd: string, args: readonly string[]): Promise<string> {
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline']
  return npm(cwd, ['install', ...quiet, ...args], { CFLAGS: '-O0', CXXFLAGS: '-O0' })
}
