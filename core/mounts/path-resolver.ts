import { readlink } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { systemCode } from '../errors.ts'
import type { MountWatch } from './mount-watch.ts'

/** As many as the kernel follows; path_resolution(7). */
const MOST_LINKS = 40

export interface ResolverMounts {
  /** Is something mounted on this very folder? */
  isMountPoint(path: string): boolean
  /** The watch over the mount that holds a path without links. */
  watchOf(path: string): MountWatch
}

/**
 * realpath(3) that looks at nothing before the mount that holds it has given a sign of life: where realpath() would wait
 * for a server that is gone, this gives an error. Remembers what it looked at, so one resolver serves one request.
 */
export class PathResolver {
  readonly #mounts: ResolverMounts
  readonly #targets = new Map<string, Promise<string | undefined>>()
  readonly #watches = new Map<string, MountWatch>()

  constructor(mounts: ResolverMounts) {
    this.#mounts = mounts
  }

  /**
   * An absolute path without links.
   * @throws REPOSITORY_NOT_RESPONDING; the error of readlink(2), ENOENT where something is missing; ELOOP
   */
  async resolve(path: string): Promise<string> {
    let real = '/'
    const rest = namesOf(path)
    for (let links = 0; rest.length > 0; ) {
      const name = rest.shift()!
      if (name === '.' || name === '..') {
        await this.#assertFolder(real)
        if (name === '..') real = dirname(real)
        continue
      }
      const next = join(real, name)
      const target = await this.#targetOf(next)
      if (target === undefined) {
        real = next
        continue
      }
      if (++links > MOST_LINKS) throw tooManyLinks(path)
      if (isAbsolute(target)) real = '/'
      rest.unshift(...namesOf(target))
    }
    return real
  }

  /** A short call on a path without links, as `MountWatch.call`. */
  call<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
    return this.#watchOver(path).call(work)
  }

  /** What a dot stands behind. @throws ENOTDIR */
  async #assertFolder(path: string): Promise<void> {
    if (!this.#mounts.isMountPoint(path)) await this.#targetOf(`${path}/.`)
  }

  #targetOf(path: string): Promise<string | undefined> {
    let target = this.#targets.get(path)
    if (target === undefined) {
      target = this.#readLink(path)
      this.#targets.set(path, target)
    }
    return target
  }

  /** Where a link leads; undefined for anything that is none. */
  async #readLink(path: string): Promise<string | undefined> {
    // The root of a mount is no link, and to look at it would be to ask its server.
    if (this.#mounts.isMountPoint(path)) return undefined
    try {
      return await this.#watchOver(dirname(path)).call(() => readlink(path))
    } catch (error) {
      if (systemCode(error) === 'EINVAL') return undefined
      throw error
    }
  }

  #watchOver(path: string): MountWatch {
    let watch = this.#watches.get(path)
    if (watch === undefined) {
      const own = path === '/' || this.#mounts.isMountPoint(path)
      watch = own ? this.#mounts.watchOf(path) : this.#watchOver(dirname(path))
      this.#watches.set(path, watch)
    }
    return watch
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '')
}

function tooManyLinks(path: string): Error {
  return Object.assign(new Error(`ELOOP: too many symbolic links encountered, realpath '${path}'`), {
    code: 'ELOOP',
    errno: -40,
  })
}
