import { systemCode } from '../errors.ts'
import type { HeldPath, HoldBeneath } from '../held-path.ts'

/** A link or a file in the place of a folder is no folder. */
const NO_FOLDER: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP'])

/**
 * Holds a folder beneath a repository; undefined where there is none. To be called under the watch of its mount.
 * @throws the system's error: EXDEV where something else is mounted on the way
 */
export async function holdFolder(
  root: string,
  path: string,
  hold: HoldBeneath,
): Promise<HeldPath | undefined> {
  let held: HeldPath
  try {
    held = await hold(root, path)
  } catch (error) {
    if (NO_FOLDER.has(systemCode(error))) return undefined
    throw error
  }
  if (held.stats.isDirectory()) return held
  await held[Symbol.asyncDispose]()
  return undefined
}
