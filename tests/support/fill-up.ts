import { mkdirSync } from 'node:fs'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../../core/errors.ts'
import { fallocate } from '../../native/fallocate.ts'
import { command } from './command.ts'

const SIZES = [256, 16, 1, 1 / 16, 1 / 256].map((mebibytes) => mebibytes * 1024 * 1024)
/** btrfs keeps names in space of their own. */
const LONGEST_NAME = 255

/** The smallest filler first: whoever removes them one by one gives back a little space at a time. */
export interface Filling extends AsyncDisposable {
  readonly files: readonly string[]
}

/** Leaves a filesystem without room for a byte or a name, until it is disposed of. */
export async function fillUp(mount: string): Promise<Filling> {
  const folder = join(mount, 'filling')
  await mkdir(folder)
  const files: string[] = []
  for (const size of SIZES) {
    await untilFull(async (index) => {
      const file = join(folder, `${size}-${index}`)
      await allocate(file, size)
      files.unshift(file)
    })
  }
  await untilFull(async (index) => mkdirSync(join(folder, `${index}`.padEnd(LONGEST_NAME, '-'))))
  await command('sync', ['--file-system', mount]).catch(() => undefined)
  return { files, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) }
}

async function allocate(path: string, length: number): Promise<void> {
  await using handle = await open(path, 'wx')
  await fallocate(handle, path, 'allocate', 0, length)
}

async function untilFull(take: (index: number) => Promise<void>): Promise<void> {
  for (let index = 0; ; index++) {
    try {
      await take(index)
    } catch (error) {
      if (systemCode(error) === 'ENOSPC') return
      throw error
    }
  }
}
