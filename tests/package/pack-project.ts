import { cp, symlink } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { npm } from './npm.ts'

export const PROJECT = fileURLToPath(new URL('../..', import.meta.url))

const NOT_COPIED = new Set(['node_modules', 'dist', '.git', '.cache', 'tests'])

/**
 * Builds and packs a copy of the project, so that its own `dist` is left as it is.
 * @returns the tarball's path, in `directory`
 */
export async function packProject(directory: string): Promise<string> {
  const copy = join(directory, 'project')
  await cp(PROJECT, copy, {
    recursive: true,
    filter: (source) => !NOT_COPIED.has(relative(PROJECT, source).split('/')[0]!),
  })
  await symlink(join(PROJECT, 'node_modules'), join(copy, 'node_modules'))
  return pack(copy, directory)
}

/** @returns the tarball's path, in `destination` */
export async function pack(folder: string, destination: string): Promise<string> {
  const out = await npm(folder, ['pack', '--json', '--pack-destination', destination])
  // The build that runs before prints to the same stream.
  const [{ filename }] = JSON.parse(out.slice(out.search(/^\[/m))) as [{ readonly filename: string }]
  return join(destination, filename)
}
