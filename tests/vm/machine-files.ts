import { createHash } from 'node:crypto'
import { access, mkdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { acquireFlock } from 'diskferry/native'
import { unpackMissingPackages } from './debian-archive.ts'
import { initramfs } from './initramfs.ts'
import { bootable, kernelLayer } from './kernel-layer.ts'
import { cacheDirectory, makeOnce } from './machine-cache.ts'
import { INSIDE_PACKAGES } from './packages.ts'

/** What a boot needs. */
export interface MachineFiles {
  readonly kernel: string
  readonly initramfs: string
  /** Folder that is shared in. */
  readonly cache: string
  /** Folders in it that lie over this machine's root, the uppermost first. */
  readonly layers: readonly string[]
}

const INSTALLED_BUSYBOX = '/usr/bin/busybox'

/**
 * Downloads and makes what the cache lacks. Safe to call from many processes at once.
 * @param onWork told, in a sentence, what will take a while
 */
export async function machineFiles(
  onWork: (sentence: string) => void,
  signal?: AbortSignal,
): Promise<MachineFiles> {
  const cache = cacheDirectory()
  await mkdir(cache, { recursive: true })
  await using _lock = await acquireFlock(join(cache, 'lock'), signal)
  const tools = await toolsLayer(cache, onWork)
  signal?.throwIfAborted()
  const busybox = await busyboxOf(tools)
  const kernel = await kernelLayer(cache, onWork)
  return {
    kernel: bootable(kernel.directory),
    initramfs: await initramfs(cache, kernel, busybox),
    cache,
    layers: [basename(tools), basename(kernel.directory)],
  }
}

/** What is missing changes with what is installed here, and the layer with it. */
async function toolsLayer(cache: string, onWork: (sentence: string) => void): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(INSIDE_PACKAGES))
  hash.update(await readFile('/var/lib/dpkg/status'))
  const name = `tools-${hash.digest('hex').slice(0, 16)}`
  return makeOnce(cache, 'tools', name, async (unfinished) => {
    onWork(`Downloading the test machine's programs into ${cache}`)
    await unpackMissingPackages(INSIDE_PACKAGES, unfinished)
  })
}

/** The static one: where it is installed it was not downloaded. */
async function busyboxOf(tools: string): Promise<string> {
  const unpacked = join(tools, INSTALLED_BUSYBOX)
  return access(unpacked).then(
    () => unpacked,
    () => INSTALLED_BUSYBOX,
  )
}
