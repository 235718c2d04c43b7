import { mkdir, writeFile } from 'node:fs/promises'
import { command } from '../../support/command.ts'
import { failingDisk } from './failing-disk.ts'
import { unmount } from './unmount.ts'

/** A filesystem whose disk breaks. */
export const FAILING_FILESYSTEMS = [
  { filesystem: 'xfs', mkfs: ['mkfs.xfs', '-q', '-f'], mountOptions: 'rw' },
  // Inline and compressed extents are compared by content, so a difference reads the disk.
  {
    filesystem: 'btrfs',
    mkfs: ['mkfs.btrfs', '--quiet', '--force'],
    mountOptions: 'compress-force=zstd',
  },
] as const

export interface FailingMount extends AsyncDisposable {
  /**
   * From now on everything fails with EIO. What was written before is on the disk.
   *
   * @param forgetting also drops what the kernel still holds of it, so that reading it fails too
   */
  break(options: { readonly forgetting: boolean }): Promise<void>
  /** As after a reboot of the storage: a filesystem that met errors has to be mounted anew. */
  repair(): Promise<void>
}

export async function failingMount(
  { filesystem, mkfs, mountOptions }: (typeof FAILING_FILESYSTEMS)[number],
  mountPoint: string,
): Promise<FailingMount> {
  const device = await failingDisk()
  const mount = () => command('mount', ['-t', filesystem, '-o', mountOptions, device.device, mountPoint])
  try {
    const [program, ...options] = mkfs
    await command(program, [...options, device.device])
    await mkdir(mountPoint, { recursive: true })
    await mount()
  } catch (error) {
    await device[Symbol.asyncDispose]()
    throw error
  }
  return {
    async break({ forgetting }) {
      await command('sync', ['-f', mountPoint])
      if (forgetting) await writeFile('/proc/sys/vm/drop_caches', '3')
      await device.fail()
    },
    async repair() {
      await device.heal()
      await command('umount', [mountPoint])
      await mount()
    },
    async [Symbol.asyncDispose]() {
      await unmount(mountPoint)
      await device[Symbol.asyncDispose]()
    },
  }
}
