import { rmSync } from 'node:fs'
import { access, mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { StorageKind } from '../storage/matrix.ts'
import { command, commandSync } from './command.ts'
import { onProcessExit } from './exit-cleanup.ts'
import { mountsBelow, whoUses } from './mounts.ts'
import { temporaryRoot } from './temporary-directory.ts'

/** This machine cannot mount such a filesystem: the test is skipped, or fails where it is required. */
export class StorageUnavailable extends Error {}

export interface LoopFilesystemOptions {
  /** Size of the sparse image; 1 GiB when left out. XFS refuses less than 300 MB. */
  readonly sizeBytes?: number
}

/** A real filesystem in a sparse file. Disposing of it unmounts it and removes the file. */
export interface LoopFilesystem extends AsyncDisposable {
  readonly kind: StorageKind
  readonly mountPoint: string
  readonly image: string
  remountReadOnly(): Promise<void>
  remountWritable(): Promise<void>
  /** Leaves the empty mount point behind; `mount` brings the filesystem back with its files. */
  unmount(): Promise<void>
  mount(): Promise<void>
}

const DEFAULT_SIZE_BYTES = 1024 * 1024 * 1024
const BUSY_RETRIES = 30
const BUSY_PAUSE_MS = 100

/**
 * Makes a filesystem of this kind and mounts it. Safe to call from many processes at once.
 * @throws StorageUnavailable when this is not root, or has no loop device, tool or kernel support.
 */
export async function mountFilesystem(
  kind: StorageKind,
  { sizeBytes = DEFAULT_SIZE_BYTES }: LoopFilesystemOptions = {},
): Promise<LoopFilesystem> {
  await assertPossible(kind)
  const directory = await mkdtemp(join(temporaryRoot(), `diskferry-${kind.name}-`))
  const forget = onProcessExit(() => removeSync(directory))
  const filesystem = handle(kind, directory, async () => {
    for (const { mountPoint } of [...mountsBelow(directory)].reverse()) await unmountPatiently(mountPoint)
    await rm(directory, { recursive: true, force: true })
    forget()
  })
  try {
    await mkdir(filesystem.mountPoint)
    await using image = await open(filesystem.image, 'wx')
    await image.truncate(sizeBytes)
    const [mkfs, ...options] = kind.mkfs
    await command(mkfs, [...options, filesystem.image])
    await filesystem.mount()
    return filesystem
  } catch (error) {
    await filesystem[Symbol.asyncDispose]()
    throw error
  }
}

function handle(kind: StorageKind, directory: string, dispose: () => Promise<void>): LoopFilesystem {
  const image = join(directory, 'image')
  const mountPoint = join(directory, 'mount')
  return {
    kind,
    mountPoint,
    image,
    async remountReadOnly() {
      await command('mount', ['-o', 'remount,ro', mountPoint])
    },
    async remountWritable() {
      await command('mount', ['-o', 'remount,rw', mountPoint])
    },
    async unmount() {
      await unmountPatiently(mountPoint)
    },
    async mount() {
      await mountImage(kind, image, mountPoint)
    },
    [Symbol.asyncDispose]: dispose,
  }
}

async function assertPossible(kind: StorageKind): Promise<void> {
  if (process.getuid?.() !== 0) throw new StorageUnavailable('mounting needs root')
  for (const [path, lack] of [
    ['/dev/loop-control', 'there are no loop devices here'],
    [
      `/usr/sbin/${kind.mkfs[0]}`,
      `${kind.mkfs[0]} of the package ${kind.packages.join(', ')} is not installed`,
    ],
  ] as const) {
    await access(path).catch((cause) => {
      throw new StorageUnavailable(lack, { cause })
    })
  }
}

async function mountImage(kind: StorageKind, image: string, mountPoint: string): Promise<void> {
  const options = ['loop', ...kind.mountOptions].join(',')
  try {
    await command('mount', ['-t', kind.filesystem, '-o', options, image, mountPoint])
  } catch (cause) {
    if (/unknown filesystem type|permission denied|failed to setup loop device/i.test(String(cause))) {
      throw new StorageUnavailable(`${kind.filesystem} cannot be mounted here: ${String(cause)}`, { cause })
    }
    throw cause
  }
}

/**
 * A descriptor may still be closing in another thread or a dying process, and nothing announces its end: so
 * this asks again for three seconds. What is open after that is a leak, and an error.
 */
async function unmountPatiently(mountPoint: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await command('umount', [mountPoint])
      return
    } catch (error) {
      if (!String(error).includes('busy')) throw error
      if (attempt >= BUSY_RETRIES) throw lazily(mountPoint, error)
    }
    await delay(BUSY_PAUSE_MS)
  }
}

function removeSync(directory: string): void {
  for (const { mountPoint } of [...mountsBelow(directory)].reverse()) unmountSync(mountPoint)
  rmSync(directory, { recursive: true, force: true })
}

function unmountSync(mountPoint: string): void {
  for (let attempt = 0; ; attempt += 1) {
    try {
      commandSync('umount', [mountPoint])
      return
    } catch (error) {
      if (attempt >= BUSY_RETRIES) throw lazily(mountPoint, error)
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_PAUSE_MS)
  }
}

/** Takes a busy mount out of sight, so that the machine stays usable, and says who kept it. */
function lazily(mountPoint: string, cause: unknown): Error {
  const users = whoUses(mountPoint)
  commandSync('umount', ['--lazy', mountPoint])
  return new Error(
    `${mountPoint} stayed busy and was unmounted lazily: ${users.join('; ') || 'by nobody known'}`,
    {
      cause,
    },
  )
}
