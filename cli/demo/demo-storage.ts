import { access, constants, mkdir, mkdtemp, open, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DiskferryError, describe } from '../../core/errors.ts'
import type { CleanupStack } from './cleanup-stack.ts'
import type { Progress } from './progress.ts'
import { hasCommand, runCommand } from './run-command.ts'

const UNMOUNT_ATTEMPTS = 50
const UNMOUNT_PAUSE_MS = 200
const IMAGE_BYTES = 4 * 1024 ** 3

export interface DemoStorage {
  /** The repository's mount point, or the folder that stands for one. */
  readonly mountPoint: string
  readonly isMountPoint: boolean
  /** For everything that is not in the repository: database, certificate, log, the client's copies. */
  readonly work: string
  readonly description: string
}

/**
 * A real filesystem in a sparse file on a loop device, or a folder of one that is there.
 *
 * @throws USAGE when neither can be had
 */
export async function makeStorage(
  directory: string | undefined,
  cleanup: CleanupStack,
  progress: Progress,
  signal: AbortSignal,
): Promise<DemoStorage> {
  if (directory !== undefined) return useDirectory(resolve(directory), cleanup)
  if (process.getuid?.() !== 0) {
    throw new DiskferryError(
      'USAGE',
      'the demo mounts a filesystem of its own, which needs root: run it with sudo, or give it a folder on XFS or btrfs with `npm run demo -- --directory DIR`',
    )
  }
  const work = await makeFolder(tmpdir(), cleanup)
  const filesystem = await chooseFilesystem(progress, signal)
  return progress.step(`making a real ${filesystem} in a sparse file`, async () => {
    const image = join(work, 'filesystem.img')
    await using file = await open(image, 'wx', 0o600)
    await file.truncate(IMAGE_BYTES)
    const options = filesystem === 'xfs' ? ['-q', '-m', 'reflink=1'] : ['-q']
    await runCommand(`mkfs.${filesystem}`, [...options, image], { signal })
    const mountPoint = join(work, 'repository')
    await mkdir(mountPoint)
    await runCommand('mount', ['-o', 'loop', image, mountPoint])
    cleanup.add(mountPoint, () => unmount(mountPoint))
    signal.throwIfAborted()
    return { mountPoint, isMountPoint: true, work, description: `${filesystem} on a loop device` }
  })
}

/** What was under way when the demo was interrupted may hold a file open for a moment. */
async function unmount(mountPoint: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await runCommand('umount', [mountPoint])
      return
    } catch (error) {
      if (attempt === UNMOUNT_ATTEMPTS) throw error
      await delay(UNMOUNT_PAUSE_MS)
    }
  }
}

async function useDirectory(directory: string, cleanup: CleanupStack): Promise<DemoStorage> {
  try {
    if (!(await stat(directory)).isDirectory()) throw new Error('it is not a folder')
    await access(directory, constants.W_OK)
  } catch (error) {
    throw new DiskferryError('USAGE', `the demo can't use the folder ${directory}: ${describe(error)}`, {
      cause: error,
    })
  }
  const own = await makeFolder(directory, cleanup)
  const mountPoint = join(own, 'repository')
  const work = join(own, 'work')
  await mkdir(mountPoint)
  await mkdir(work)
  return { mountPoint, isMountPoint: false, work, description: `the folder ${directory}` }
}

async function makeFolder(parent: string, cleanup: CleanupStack): Promise<string> {
  const folder = await mkdtemp(join(parent, 'diskferry-demo-'))
  cleanup.add(folder, () => rm(folder, { recursive: true, force: true }))
  return folder
}

async function chooseFilesystem(progress: Progress, signal: AbortSignal): Promise<'xfs' | 'btrfs'> {
  if (await hasCommand('mkfs.xfs')) return 'xfs'
  if (await hasCommand('apt-get')) {
    try {
      await progress.step('installing the Debian package xfsprogs, which has mkfs.xfs', () =>
        installXfsprogs(signal),
      )
      return 'xfs'
    } catch (error) {
      signal.throwIfAborted()
      process.stderr.write(`xfsprogs could not be installed, btrfs is tried instead: ${describe(error)}\n`)
    }
  }
  if (await hasCommand('mkfs.btrfs')) return 'btrfs'
  throw new DiskferryError(
    'USAGE',
    'the demo needs mkfs.xfs or mkfs.btrfs: install the package xfsprogs, or give it a folder on XFS or btrfs with `npm run demo -- --directory DIR`',
  )
}

async function installXfsprogs(signal: AbortSignal): Promise<void> {
  const options = { signal, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
  await runCommand('apt-get', ['update', '-q'], options)
  await runCommand('apt-get', ['install', '-q', '-y', '--no-install-recommends', 'xfsprogs'], options)
}
