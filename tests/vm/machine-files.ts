import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { acquireFlock } from 'diskferry/native'
import { unpackMissingPackages } from './debian-archive.ts'
import { type KernelLayer, kernelLayer } from './kernel-layer.ts'
import { cacheDirectory, makeOnce } from './machine-cache.ts'
import { INSIDE_PACKAGES } from './packages.ts'

/** What a boot needs: two folders of the cache, which lie over this machine's root. */
export interface MachineFiles {
  readonly kernel: KernelLayer
  /** Programs that are not installed here. */
  readonly tools: string
}

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
  return { tools, kernel: await kernelLayer(cache, onWork) }
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
