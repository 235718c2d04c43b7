import { join } from 'node:path'
import { command } from '../support/command.ts'
import { dependencyOf, unpackPackage } from './debian-archive.ts'
import { writeBootableKernel } from './kernel-image.ts'
import { cached, makeOnce } from './machine-cache.ts'
import { KERNEL_PACKAGE } from './packages.ts'

export interface KernelLayer {
  /** As `uname -r` says it. */
  readonly version: string
  /** Holds the kernel, and its modules below `usr/lib/modules`. */
  readonly directory: string
}

const FAMILY = 'linux-image'

/** Drivers of hardware that the machine does not have: two thirds of all. */
const UNWANTED = [
  'sound',
  'drivers/comedi',
  'drivers/gpu',
  'drivers/hid',
  'drivers/hwmon',
  'drivers/iio',
  'drivers/infiniband',
  'drivers/input',
  'drivers/media',
  'drivers/net/ethernet',
  'drivers/net/wireless',
  'drivers/platform',
  'drivers/staging',
  'drivers/usb',
]

/** Debian's newest stock kernel, unless an older one is in the cache. */
export async function kernelLayer(cache: string, onWork: (sentence: string) => void): Promise<KernelLayer> {
  const name = (await cached(cache, FAMILY))[0] ?? (await dependencyOf(KERNEL_PACKAGE))
  const version = name.slice(FAMILY.length + 1)
  const directory = await makeOnce(cache, FAMILY, name, async (unfinished) => {
    onWork(`Downloading the test machine's kernel ${version} into ${cache}`)
    const unwanted = UNWANTED.map((path) => `./lib/modules/*/kernel/${path}`)
    await unpackPackage(name, unfinished, [...unwanted, './usr/share'])
    await command('/usr/sbin/depmod', ['--basedir', unfinished, version])
    await writeBootableKernel(join(unfinished, 'boot', `vmlinuz-${version}`), bootable(unfinished))
  })
  return { version, directory }
}

/** The file of a kernel layer to boot. */
export function bootable(layer: string): string {
  return join(layer, 'vmlinux')
}
