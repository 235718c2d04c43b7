import type { MountTable } from '../mount-table.ts'
import { longestParent } from '../repositories/paths.ts'
import type { Mount } from '../storage-backend.ts'
import { MountWatch, type MountWatchOptions } from './mount-watch.ts'
import { PathResolver } from './path-resolver.ts'

/** Where the mount table has no root, as in a chroot. */
const ROOT = { mountId: 0, device: '', mountPoint: '/', filesystem: 'unknown', source: 'unknown' } as const

type WatchedMount = Pick<Mount, 'mountId' | 'device' | 'mountPoint' | 'filesystem' | 'source'>

/** A watch for each mount, found by paths without links: nothing is looked at to find it. */
export class MountWatches {
  readonly #mounts: MountTable
  readonly #options: MountWatchOptions
  readonly #watches = new Map<string, MountWatch>()

  constructor(mounts: MountTable, options: MountWatchOptions) {
    this.#mounts = mounts
    this.#options = options
  }

  /** Are there calls that the kernel may never let go? They would keep the program from ending. */
  get holdThreads(): boolean {
    return [...this.#watches.values()].some((watch) => watch.holdsThreads)
  }

  /** The watch over the mount that holds a path. */
  async of(path: string): Promise<MountWatch> {
    return this.#watchIn(await this.#mounts.list(), path)
  }

  /** Resolves links by the mounts of now. */
  async resolver(): Promise<PathResolver> {
    const mounts = await this.#mounts.list()
    const points = new Set(mounts.map(({ mountPoint }) => mountPoint))
    return new PathResolver({
      isMountPoint: (path) => points.has(path),
      watchOf: (path) => this.#watchIn(mounts, path),
    })
  }

  /** @throws REPOSITORY_NOT_RESPONDING when the mount of any of these paths does not answer */
  async assertAnswer(paths: readonly string[]): Promise<void> {
    await Promise.all((await this.#over(paths)).map((watch) => watch.assertAnswers()))
  }

  /** Runs an operation on the files of several mounts. @throws as `MountWatch.run` */
  async run<Result>(
    paths: readonly string[],
    work: (signal: AbortSignal) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    return await this.#nested('run', paths, work, signal)
  }

  /** As `run`, but without waiting for turns. @throws as `MountWatch.call` */
  async call<Result>(
    paths: readonly string[],
    work: (signal: AbortSignal) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    return await this.#nested('call', paths, work, signal)
  }

  async #nested<Result>(
    way: 'run' | 'call',
    paths: readonly string[],
    work: (signal: AbortSignal) => Promise<Result>,
    signal: AbortSignal | undefined,
  ): Promise<Result> {
    const [outermost, ...others] = await this.#over(paths)
    if (outermost === undefined) throw new TypeError('an operation needs a path')
    const inner = others.reduceRight(
      (within, watch) => (either: AbortSignal) => watch[way](within, either),
      work,
    )
    return await outermost[way](inner, signal)
  }

  /** In the order of the mount table, so that two operations never wait for each other's turns. */
  async #over(paths: readonly string[]): Promise<readonly MountWatch[]> {
    const mounts = await this.#mounts.list()
    const held = paths.map((path) => holding(mounts, path))
    return [...new Set(held)].sort((a, b) => a.mountId - b.mountId).map((mount) => this.#watch(mount, mounts))
  }

  #watchIn(mounts: readonly Mount[], path: string): MountWatch {
    return this.#watch(holding(mounts, path), mounts)
  }

  #watch(mount: WatchedMount, mounts: readonly Mount[]): MountWatch {
    const key = keyOf(mount)
    const known = this.#watches.get(key)
    if (known !== undefined) return known
    const mounted = new Set(mounts.map(keyOf))
    for (const [old, watch] of this.#watches) {
      if (!mounted.has(old) && watch.idle) this.#watches.delete(old)
    }
    const watch = new MountWatch(mount, this.#options)
    this.#watches.set(key, watch)
    return watch
  }
}

function holding(mounts: readonly Mount[], path: string): WatchedMount {
  return longestParent(mounts, ({ mountPoint }) => mountPoint, path) ?? ROOT
}

/** What is mounted anew gets a new watch: the old mount may stay silent for ever. */
function keyOf({ mountId, device, mountPoint }: WatchedMount): string {
  return JSON.stringify([mountId, device, mountPoint])
}
