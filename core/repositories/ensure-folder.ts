import { mkdir } from 'node:fs/promises'
import { systemCode } from '../errors.ts'

/**
 * Makes a folder (mode 0750) in one that is there, unless it exists. Not node's recursive mkdir, which calls a full
 * filesystem ENOENT, and would make a mount point that is missing.
 *
 * @throws the system's error
 */
export async function ensureFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o750 })
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
}
