import { mkdir, writeFile } from 'node:fs/promises'
import { command } from '../../support/command.ts'
import { failingDisk } from './failing-disk.ts'
import { machineKind } from './kinds.ts'
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
  { filesystem: 'ocfs2', mkfs: machineKind('ocfs2').disk.mkfs, mountOptions: 'rw' },
] as const

export interface FailingMount extends AsyncDisposable {
  /**
   * From now on everything fails with EIO. What was written before is on the disk.
   *
   * @param forgetting also drops what the kernel still holds of it, so that reading it fails too
   */
  break(options: { readonly forgetting: boolean }): Promise<void>
  /** Unmounts and mounts, so that the kernel holds nothing of it any more. Nobody may use it. */
  remount(): Promise<void>
  /** As after a reboot of the storage: a filesystem that met errors has to be mounted anew. */
  repair(): Promise<void>
}

export async function failingMount(
  { filesystem, mkfs, mountOptions }: (typeof FAILING_FILESYSTEMS)[number],
  mountPoint: string,
): Promise<FailingMount> {
  const device = await failingDisk()
  const mount = async () => {
    await mkdir(mountPoint, { recursive: true })
    await command('mount', ['-t', filesystem, '-o', mountOptions, device.device, mountPoint])
  }
  try {
    const [program, ...options] = mkfs
    await command(program, [...options, device.device])
    await mount()
  } catch (error) {
    await device[Symbol.asyncDispose]()
    throw error
  }
  const remount = async () => {
    await unmount(mountPoint)
    await mount()
  }
  return {
    remount,
    async break({ forgetting }) {
      await command('sync', ['-f', mountPoint])
      if (forgetting) await writeFile('/proc/sys/vm/drop_caches', '3')
      await device.fail()
    },
    async repair() {
      await device.heal()
      await remount()
    },
    async [Symbol.asyncDispose]() {
      await unmount(mountPoint)
      await device[Symbol.asyncDispose]()
    },
  }
}
