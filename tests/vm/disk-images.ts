import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryRoot } from '../support/temporary-directory.ts'

export interface DiskImages extends AsyncDisposable {
  /** Open descriptors, one a disk. */
  readonly descriptors: readonly number[]
}

/** Sparse files without a name: however this process ends, nothing of them stays. */
export async function diskImages(sizes: readonly number[]): Promise<DiskImages> {
  const handles: FileHandle[] = []
  const images = {
    descriptors: [] as number[],
    async [Symbol.asyncDispose]() {
      await Promise.all(handles.map((handle) => handle.close()))
    },
  }
  const directory = await mkdtemp(join(temporaryRoot(), 'diskferry-vm-'))
  try {
    for (const [index, size] of sizes.entries()) {
      const handle = await open(join(directory, String(index)), 'wx+')
      handles.push(handle)
      await handle.truncate(size)
      images.descriptors.push(handle.fd)
    }
    return images
  } catch (error) {
    await images[Symbol.asyncDispose]()
    throw error
  } finally {
    await rm(directory, { recursive: true })
  }
}
