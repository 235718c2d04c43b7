import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { command } from '../support/command.ts'

/** A merged /usr, as Debian has it since 12: a real folder would hide the link of the layer below. */
const MERGED = ['bin', 'lib', 'lib32', 'lib64', 'libx32', 'sbin']

/** No lock of the system's package database is needed to download, so root isn't either. */
const DOWNLOAD_ONLY = ['-o', 'Debug::NoLocking=1', '-o', 'Acquire::Retries=3']

/**
 * Downloads Debian packages with everything they need that is not installed here, and unpacks them.
 * @param target an existing, empty folder
 */
export async function unpackMissingPackages(names: readonly string[], target: string): Promise<void> {
  await withArchives(target, async (archives) => {
    const options = ['-o', `Dir::Cache=${archives}`, '-o', `Dir::Cache::archives=${archives}`]
    await aptGet(archives, [
      'install',
      '--download-only',
      '--yes',
      '--no-install-recommends',
      ...options,
      ...names,
    ])
  })
}

/**
 * Downloads one Debian package, without what it depends on, and unpacks it.
 * @param excluded patterns of tar(1) for files that are not wanted
 */
export async function unpackPackage(
  name: string,
  target: string,
  excluded: readonly string[],
): Promise<void> {
  await withArchives(target, (archives) => aptGet(archives, ['download', name]), excluded)
}

async function withArchives(
  target: string,
  download: (archives: string) => Promise<void>,
  excluded: readonly string[] = [],
): Promise<void> {
  const archives = await mkdtemp(join(tmpdir(), 'diskferry-archives-'))
  try {
    await mkdir(join(archives, 'partial'))
    await download(archives)
    await makeMergedUsr(target)
    for (const name of await readdir(archives)) {
      if (name.endsWith('.deb')) await unpack(join(archives, name), target, excluded)
    }
  } finally {
    await rm(archives, { recursive: true, force: true })
  }
}

async function makeMergedUsr(target: string): Promise<void> {
  for (const name of MERGED) {
    await mkdir(join(target, 'usr', name), { recursive: true })
    await symlink(`usr/${name}`, join(target, name))
  }
}

/** `dpkg-deb --extract` would replace the links of a merged /usr by folders. */
async function unpack(archive: string, target: string, excluded: readonly string[]): Promise<void> {
  const script = 'archive=$1; shift; dpkg-deb --fsys-tarfile "$archive" | tar --extract "$@"'
  const options = ['--keep-directory-symlink', '--no-same-owner', '--directory', target]
  const patterns = excluded.map((pattern) => `--exclude=${pattern}`)
  await command('bash', ['-o', 'pipefail', '-c', script, 'unpack', archive, ...options, ...patterns])
}

async function aptGet(directory: string, args: readonly string[]): Promise<void> {
  const run = () => command('env', ['--chdir', directory, 'apt-get', ...DOWNLOAD_ONLY, ...args])
  try {
    await run()
  } catch (error) {
    if (!(await updateLists())) throw error
    await run()
  }
}

/** @returns whether the package lists were read afresh; only root may. */
async function updateLists(): Promise<boolean> {
  if (process.getuid?.() !== 0) return false
  await command('apt-get', ['-o', 'DPkg::Lock::Timeout=300', 'update'])
  return true
}
