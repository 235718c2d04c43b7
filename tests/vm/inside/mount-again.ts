import { mkdir } from 'node:fs/promises'
import { command } from '../../support/command.ts'
import type { MachineMount } from './mount-kind.ts'
import { unmount } from './unmount.ts'

/**
 * What a server keeps of a second host: the same files at another mount point, with nothing in common with the first
 * mount but the server.
 */
export async function mountAgain(
  { kind, mountPoint, server }: MachineMount,
  options: readonly string[],
): Promise<AsyncDisposable & { readonly mountPoint: string }> {
  if (server === undefined) throw new Error(`${kind.name} has no server`)
  const again = `${mountPoint}-again`
  const all = ['rw', ...server.mountOptions, ...kind.mountOptions, ...options]
  await mkdir(again, { recursive: true })
  await command('mount', ['-t', kind.filesystem, '-o', all.join(), server.source, again])
  return { mountPoint: again, [Symbol.asyncDispose]: () => unmount(again) }
}
