import { constants } from 'node:fs'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { HoldBeneath } from '../held-path.ts'
import type { Mount } from '../storage-backend.ts'

const FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/**
 * The folder of a repository on the mount that was found there, held open. Everything that is done through it is done on
 * that mount, or fails: never in the folder below, which `umount --lazy` uncovers whoever is at work.
 */
export interface PinnedRoot extends AsyncDisposable {
  readonly mount: Mount
  /** The path of what lies beneath the repository's folder, through the descriptor. */
  at(path: string): string
  /** Finds on the pinned mount what is asked for beneath the repository's folder. */
  readonly hold: HoldBeneath
}

/** @throws the system's error: ENOENT, ENOTDIR, ELOOP where there is no such folder */
export async function openRoot(root: string): Promise<FileHandle> {
  return await open(root, FLAGS)
}

export function pinnedRoot(handle: FileHandle, root: string, mount: Mount, hold: HoldBeneath): PinnedRoot {
  const pinned = `/proc/${process.pid}/fd/${handle.fd}`
  const at = (path: string) => join(pinned, relative(root, path))
  return {
    mount,
    at,
    // Without the dot it would be a link, which is not followed.
    hold: (_root, path) => hold(`${pinned}/.`, at(path)),
    [Symbol.asyncDispose]: () => handle.close(),
  }
}

/**
 * The mount that a descriptor is on; no other mount gets this number while the descriptor is open. proc_pid_fdinfo(5);
 * undefined before Linux 3.15.
 */
export async function mountIdOf({ fd }: FileHandle): Promise<number | undefined> {
  const info = await readFile(`/proc/self/fdinfo/${fd}`, 'latin1')
  const id = /^mnt_id:\s*(\d+)$/m.exec(info)?.[1]
  return id === undefined ? undefined : Number(id)
}
