import { close, constants, fstat } from 'node:fs'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { constants as system } from 'node:os'
import { join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { systemCode } from 'diskferry/core'
import { birthTime } from './birth-time.ts'
import { openat2Beneath } from './openat2.ts'
import { SystemCallError } from './system-call-error.ts'

const O_PATH = 0o10000000
const FOLDER_FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW

const closeDescriptor = promisify(close)
const statusOf = promisify(fstat)

type Descriptor = Pick<FileHandle, 'fd' | 'close'>

export type WayBeneath = (root: FileHandle, names: readonly string[], shown: string) => Promise<Descriptor>

/**
 * Finds what lies at `path` beneath the folder `root`, both real paths, following no link and staying on the folder's
 * mount, and holds it by an O_PATH descriptor: nothing is opened, so that a FIFO or a device does no harm.
 *
 * @returns the path that leads to it whatever is renamed, and its status
 * @throws SystemCallError or node's error: ELOOP for a link, EXDEV for another mount or a path outside, ENOENT, ENOTDIR
 */
export async function holdBeneath(root: string, path: string, find: WayBeneath = findBeneath) {
  const way = relative(root, path)
  const names = way === '' ? [] : way.split(sep)
  if (names.includes('..')) throw new SystemCallError('openat2', system.errno.EXDEV, path)
  await using folder = await open(root, FOLDER_FLAGS)
  const handle = await find(folder, names, path)
  try {
    const stats = await statusOf(handle.fd)
    const birthTimeNs = await birthTime(handle.fd, path)
    return {
      path: `/proc/${process.pid}/fd/${handle.fd}`,
      stats,
      birthTimeNs,
      [Symbol.asyncDispose]: () => handle.close(),
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** By openat2(2) where the kernel has it (5.6), by a walk where it has not, or where a sandbox refuses the call. */
async function findBeneath(root: FileHandle, names: readonly string[], shown: string): Promise<Descriptor> {
  try {
    return await findByOpenat2(root, names, shown)
  } catch (error) {
    if (!['ENOSYS', 'EPERM'].includes(systemCode(error) ?? '')) throw error
    return walkBeneath(root, names, shown)
  }
}

export const findByOpenat2: WayBeneath = async (root, names, shown) => {
  const fd = await openat2Beneath(root.fd, names.join('/') || '.', shown)
  return { fd, close: () => closeDescriptor(fd) }
}

/** Folder by folder, each looked up in the one that is held: no name is looked up twice, so none can be swapped. */
export const walkBeneath: WayBeneath = async (root, names, shown) => {
  const mount = await mountOf(root)
  let held = await open(through(root.fd), O_PATH)
  try {
    for (const name of names) {
      const next = await open(join(through(held.fd), name), O_PATH | constants.O_NOFOLLOW)
      await held.close()
      held = next
      if ((await held.stat()).isSymbolicLink()) throw new SystemCallError('open', system.errno.ELOOP, shown)
      if ((await mountOf(held)) !== mount) throw new SystemCallError('open', system.errno.EXDEV, shown)
    }
    return held
  } catch (error) {
    await held.close()
    throw error
  }
}

function through(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`
}

/** proc_pid_fdinfo(5); since Linux 3.15. */
async function mountOf(handle: FileHandle): Promise<string | undefined> {
  const info = await readFile(`/proc/self/fdinfo/${handle.fd}`, 'latin1')
  return /^mnt_id:\s*(\d+)$/m.exec(info)?.[1]
}
