import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { systemCode } from 'diskferry/core'

const O_PATH = 0o10000000

/**
 * Opens a file to lock it, and makes it (mode 0600) when it is absent. What has its name and is no regular file is
 * refused without being opened: to open a device may start something.
 *
 * @throws the system's error, or one that says what is wrong with the file
 */
export async function openLockFile(path: string): Promise<FileHandle> {
  try {
    await using found = await open(path, O_PATH | constants.O_NOFOLLOW)
    if (!(await found.stat()).isFile()) {
      throw new Error('it is a link, or no regular file: find out who put it there, then remove it')
    }
    // For writing: NFS gives an exclusive lock for nothing else, nfs(5).
    return await open(`/proc/self/fd/${found.fd}`, constants.O_RDWR)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
  // Not O_EXCL: another host may have made it meanwhile, and a network filesystem may remember for a while that it is absent.
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants
  return open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
}
