import { mkdir, writeFile } from 'node:fs/promises'
import { command } from '../../support/command.ts'
import type { MachineMount } from './mount-kind.ts'
import { flushExports } from './nfs-server.ts'
import { unmount } from './unmount.ts'

/**
 * Makes the filesystem behind an NFS export anew, as after a disaster: every handle that a client holds is stale. The
 * server is stopped meanwhile, because it keeps open what its clients have open.
 */
export async function remakeExport({ device, kind, server, serverDirectory }: MachineMount): Promise<void> {
  const { filesystem, mkfs } = kind.disk
  const [program, ...options] = mkfs
  await server!.pause()
  await writeFile('/proc/fs/nfsd/unlock_filesystem', `${serverDirectory}\n`)
  await unmount(serverDirectory, flushExports)
  await command(program, [...options, device])
  await mkdir(serverDirectory)
  await command('mount', ['-t', filesystem, device, serverDirectory])
  await server!.resume()
}
