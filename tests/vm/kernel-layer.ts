import { readdir, rename, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from '../support/command.ts'
import { unpackPackage } from './debian-archive.ts'
import { makeOnce } from './machine-cache.ts'
import { KERNEL_PACKAGE } from './packages.ts'

export interface KernelLayer {
  /** As `uname -r` says it. */
  readonly release: string
  /** Holds the kernel as `usr/bin/linux.uml`, and its modules below `usr/lib/modules`. */
  readonly directory: string
}

const FAMILY = 'kernel'
const NAME = `${FAMILY}-in-user-mode`

/** Debian's newest kernel in user mode, of the day when the cache was filled. */
export async function kernelLayer(cache: string, onWork: (sentence: string) => void): Promise<KernelLayer> {
  const directory = await makeOnce(cache, FAMILY, NAME, async (unfinished) => {
    onWork(`Downloading the test machine's kernel into ${cache}`)
    await unpackPackage(KERNEL_PACKAGE, unfinished, ['./usr/share'])
    const from = join(unfinished, 'usr/lib/uml/modules')
    await rename(from, join(unfinished, 'usr/lib/modules'))
    await rmdir(join(from, '..'))
    await command('/usr/sbin/depmod', ['--basedir', unfinished, await releaseIn(unfinished)])
  })
  return { release: await releaseIn(directory), directory }
}

async function releaseIn(layer: string): Promise<string> {
  const releases = await readdir(join(layer, 'usr/lib/modules'))
  if (releases.length !== 1) throw new Error(`${layer} holds modules of ${releases.length} kernels.`)
  return releases[0]!
}
