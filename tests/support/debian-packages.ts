import { spawnSync } from 'node:child_process'

/** What the suite needs beside the packages of each filesystem in the storage matrix. */
export const TEST_PACKAGES: readonly string[] = [
  'curl',
  'db5.3-util',
  'e2fsprogs',
  'libseccomp2',
  'mount',
  'python3',
  'python3-bsddb3',
  'systemd',
  'util-linux',
]

function missingPackages(names: readonly string[]): readonly string[] {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders are dpkg-query's own.
  const format = '--showformat=${db:Status-Status} ${Package}\n'
  const query = spawnSync('dpkg-query', ['--show', format, ...names], { encoding: 'utf8' })
  if (query.error !== undefined) {
    throw new Error(
      `Cannot tell which test tools are installed (${query.error.message}): the tests need Debian with ${names.join(', ')}.`,
    )
  }
  const installed = new Set(
    query.stdout
      .split('\n')
      .filter((line) => line.startsWith('installed '))
      .map((line) => line.slice('installed '.length)),
  )
  return names.filter((name) => !installed.has(name))
}

function aptGet(...args: readonly string[]): boolean {
  const result = spawnSync(
    'apt-get',
    ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3', ...args],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    },
  )
  return result.status === 0
}

/**
 * Installs those of the named Debian packages that are missing.
 * @throws one sentence that names them and the command to type, when this is not root or apt-get fails.
 */
export function ensureDebianPackages(names: readonly string[]): void {
  const wanted = [...new Set(names)].sort()
  const missing = missingPackages(wanted)
  if (missing.length === 0) return
  const byHand = `sudo apt-get install --no-install-recommends ${missing.join(' ')}`
  if (process.getuid?.() !== 0) {
    throw new Error(`The tests need Debian packages that are not installed; install them with: ${byHand}`)
  }
  const install = ['install', '--yes', '--no-install-recommends', ...missing]
  // A machine whose package lists are fresh needs no update; one without lists fails and gets it.
  if (aptGet(...install) || (aptGet('update') && aptGet(...install))) return
  throw new Error(`apt-get could not install packages that the tests need; find out why with: ${byHand}`)
}
