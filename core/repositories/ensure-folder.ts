import { mkdir } from 'node:fs/promises'
import { systemCode } from '../errors.ts'

/**
 * Makes a folder in one that is there, unless it exists. Not node's recursive mkdir, which calls a full
 * filesystem ENOENT, and would make a mount point that is missing.
 *
 * @throws the system's error
 */
export async function ensureFolder(path: string, mode = 0o750): Promise<void> {
  try {
    await mkdir(path, { mode })
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
}
