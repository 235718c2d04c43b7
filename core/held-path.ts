import { readlinkSync, type Stats } from 'node:fs'

/** A file or folder that is held open, so that no later change of names puts another in its place. */
export interface HeldPath extends AsyncDisposable {
  /** `/proc/<pid>/fd/<n>`: opens this very file or folder, here and in child processes, whatever has its name now. */
  readonly path: string
  /** What it was when it was found. */
  readonly stats: Stats
  /** When it came into being, nanoseconds since 1970; undefined where the filesystem keeps no such time. */
  readonly birthTimeNs: bigint | undefined
}

/**
 * Finds what lies beneath a folder without following any link and without leaving the folder's mount, and without
 * opening it: a FIFO or a device does no harm. Implemented by the native layer.
 *
 * @param root the folder, a real path
 * @param path in it, absolute, a real path
 * @throws the system's error: ELOOP for a link, EXDEV for another mount or a way out, ENOENT, ENOTDIR
 */
export type HoldBeneath = (root: string, path: string) => Promise<HeldPath>

/** What to show of a path for a person: where a path through a descriptor leads now, any other as it is. */
export function shownPath(path: string): string {
  const [, descriptor, rest] = /^(\/proc\/\d+\/fd\/\d+)(\/.*)?$/.exec(path) ?? []
  if (descriptor === undefined) return path
  try {
    return readlinkSync(descriptor) + (rest ?? '')
  } catch {
    return path
  }
}
