import { lstat } from 'node:fs/promises'
import { systemCode } from './errors.ts'

/** Has something this name, be it a link that leads nowhere? @throws the system's error */
export async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}
