import { join } from 'node:path'
import { command } from './command.ts'
import type { GuestHelper } from './guest-helper.ts'
import type { Random } from './random.ts'

const BLOCK = 4096
const MAX_MOVED_BYTES = 2 * 1024 * 1024

export interface MovableFile {
  readonly path: string
  /** Bytes. */
  readonly size: number
}

export interface BlockMover {
  /** What was done, one line each, in order. */
  readonly history: string[]
  /**
   * Moves blocks of a file to another place on the disk without changing a byte, as defragmentation, balance
   * and deduplication do. A difference computed from addresses that were read before is wrong afterwards.
   */
  move(file: MovableFile): Promise<void>
}

/** Of a file of the filesystem; the path is appended. */
const DEFRAGMENT: Readonly<Record<string, readonly [string, ...string[]]>> = {
  btrfs: ['btrfs', 'filesystem', 'defragment', '-f'],
  ocfs2: ['defragfs.ocfs2'],
  xfs: ['xfs_fsr'],
}

/**
 * @param filesystem as mountinfo names it
 * @param mountPoint where the files lie; its own folder takes the copies that blocks are moved through
 * @param options `relocates`: false where deduplication does harm
 */
export function blockMover(
  filesystem: string,
  mountPoint: string,
  helper: GuestHelper,
  random: Random,
  { relocates = true }: { readonly relocates?: boolean } = {},
): BlockMover {
  const history: string[] = []
  const weights = { relocate: relocates ? 8 : 0, defragment: 2, balance: filesystem === 'btrfs' ? 1 : 0 }
  return {
    history,
    async move(file) {
      switch (random.weighted(weights)) {
        case 'relocate':
          history.push(await relocate(file, mountPoint, helper, random))
          break
        case 'defragment':
          history.push(await defragment(filesystem, file))
          break
        case 'balance':
          await command('btrfs', ['balance', 'start', '-d', mountPoint])
          history.push('balance')
      }
    },
  }
}

async function relocate(
  file: MovableFile,
  mountPoint: string,
  helper: GuestHelper,
  random: Random,
): Promise<string> {
  const { path } = file
  const start = random.between(0, Math.floor((file.size - 1) / BLOCK)) * BLOCK
  const wanted = Math.ceil(random.magnitude(BLOCK, MAX_MOVED_BYTES) / BLOCK) * BLOCK
  // Deduplication takes whole blocks, or what is left up to the end of the file.
  const length = Math.min(wanted, file.size - start)
  const donor = join(mountPoint, `.moved-${random.next()}`)
  await helper.do({ op: 'relocate', path, start, length, donor })
  return `relocate ${start}+${length} of ${path}`
}

async function defragment(filesystem: string, { path }: MovableFile): Promise<string> {
  const [program, ...options] = DEFRAGMENT[filesystem]!
  await command(program, [...options, path])
  return `defragment ${path}`
}
