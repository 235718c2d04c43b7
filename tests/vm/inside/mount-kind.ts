import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from '../../support/command.ts'
import { claimDisk } from './claim-disk.ts'
import { type MachineKind, type MachineKindName, machineKind } from './kinds.ts'
import { exportByNfs, flushExports, startNfsServer } from './nfs-server.ts'
import type { Server } from './server.ts'
import { shareBySmb } from './smb-server.ts'
import { unmount } from './unmount.ts'

/** A filesystem of the table, mounted. Disposing of it unmounts it and gives its disk back. */
export interface MachineMount extends AsyncDisposable {
  readonly kind: MachineKind
  readonly mountPoint: string
  /** `/dev/ubda`: what lies below the filesystem, or below the server's. */
  readonly device: string
  /** The same files on the server's side; the mount point itself where there is no server. */
  readonly serverDirectory: string
  /** Left out where there is none. One NFS server serves all exports of the machine. */
  readonly server?: Omit<Server, typeof Symbol.asyncDispose>
  /** Unmounts and mounts what the tests see, not what lies behind a server. */
  remount(): Promise<void>
}

export interface MountKindOptions {
  /** Added to those of the kind: `soft`, `timeo=50`. */
  readonly mountOptions?: readonly string[]
}

type Undo = () => PromiseLike<void>

const MOUNTS = '/mnt/diskferry'
const FIRST_SMB_PORT = 44500

/**
 * Makes a filesystem of this kind on a disk of the test machine, and mounts it, over a server where it has one.
 * @throws when this is not the test machine, or it has no disk to spare
 */
export async function mountKind(
  name: MachineKindName | MachineKind,
  { mountOptions = [] }: MountKindOptions = {},
): Promise<MachineMount> {
  const kind = typeof name === 'string' ? machineKind(name) : name
  const undo: Undo[] = []
  const dispose = () => undoAll(undo)
  try {
    const disk = await claimDisk()
    undo.push(() => disk[Symbol.asyncDispose]())
    const [mkfs, ...mkfsOptions] = kind.disk.mkfs
    await command(mkfs, [...mkfsOptions, disk.device])

    const options = [...kind.mountOptions, ...mountOptions]
    const mountPoint = join(MOUNTS, `${kind.name}-${disk.name}`)
    const mounted = { kind, mountPoint, device: disk.device, [Symbol.asyncDispose]: dispose }
    if (kind.server === undefined) {
      const remount = await mount(kind.filesystem, disk.device, mountPoint, options, undo)
      return { ...mounted, remount, serverDirectory: mountPoint }
    }
    const parent = kind.server === 'nfs' ? await startNfsServer() : join(MOUNTS, 'smb')
    const serverDirectory = join(parent, disk.name)
    const nudge = kind.server === 'nfs' ? flushExports : undefined
    await mount(kind.disk.filesystem, disk.device, serverDirectory, [], undo, nudge)
    const server = await startServer(kind, serverDirectory, FIRST_SMB_PORT + disk.index)
    undo.push(() => server[Symbol.asyncDispose]())
    const all = [...server.mountOptions, ...options]
    const remount = await mount(kind.filesystem, server.source, mountPoint, all, undo)
    undo.push(() => server.resume())
    return { ...mounted, remount, serverDirectory, server }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** The last first. One that fails does not keep the others from being tried. */
async function undoAll(steps: Undo[]): Promise<void> {
  const errors: unknown[] = []
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    try {
      await step()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}

function startServer(kind: MachineKind, directory: string, smbPort: number): Promise<Server> {
  return kind.server === 'nfs'
    ? exportByNfs(directory, kind.filesystem === 'nfs' ? 3 : 4)
    : shareBySmb(directory, kind.shareOptions ?? [], smbPort)
}

/** @returns what does it again */
async function mount(
  filesystem: string,
  source: string,
  mountPoint: string,
  options: readonly string[],
  undo: Undo[],
  nudge?: () => Promise<void>,
): Promise<() => Promise<void>> {
  const again = async () => {
    await mkdir(mountPoint, { recursive: true })
    await command('mount', ['-t', filesystem, '-o', ['rw', ...options].join(), source, mountPoint])
  }
  await again()
  undo.push(() => unmount(mountPoint, nudge))
  return async () => {
    await unmount(mountPoint, nudge)
    await again()
  }
}
