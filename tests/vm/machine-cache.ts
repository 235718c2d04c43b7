import { access, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))

/** Where the kernel and the machine's own programs are kept: `DISKFERRY_VM_CACHE`, else `.cache/vm`. */
export function cacheDirectory(): string {
  const { DISKFERRY_VM_CACHE } = process.env
  return resolve(DISKFERRY_VM_CACHE ?? join(PROJECT, '.cache/vm'))
}

/**
 * Makes a folder of the cache unless it is there, whole. Older ones of its family go, but for the newest of
 * them, which a machine may be using now.
 * @param name begins with the family and a dash
 */
export async function makeOnce(
  cache: string,
  family: string,
  name: string,
  make: (directory: string) => Promise<void>,
): Promise<string> {
  const path = join(cache, name)
  if (await exists(path)) return path
  await removeOld(cache, family)
  const unfinished = join(cache, 'unfinished', name)
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { recursive: true })
  await make(unfinished)
  await rename(unfinished, path)
  return path
}

async function removeOld(cache: string, family: string): Promise<void> {
  const paths = (await cached(cache, family)).map((name) => join(cache, name))
  const dated = await Promise.all(paths.map(async (path) => ({ path, made: (await stat(path)).ctimeMs })))
  const [, ...old] = dated.sort((a, b) => b.made - a.made)
  for (const { path } of old) await rm(path, { recursive: true })
}

/** The folders of a family. */
async function cached(cache: string, family: string): Promise<readonly string[]> {
  return (await readdir(cache)).filter((name) => name.startsWith(`${family}-`))
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
