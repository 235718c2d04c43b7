import { opendir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { DiskferryError, describe, systemCode } from '../../core/errors.ts'
import type { InventoryProblem, VirtualMachine } from '../../core/inventory.ts'
import { holdInRepository, type RepositoryPlace, readRepositoryFile } from './repository-file.ts'
import { parseVmConfig } from './vm-config.ts'

const MAX_FOLDERS = 10_000
/** Bytes. A vm.cfg has one or two KiB. */
const MAX_CONFIG_SIZE = 1024 * 1024
/** Bytes of all vm.cfg files of a repository, three times what as many as are read normally have. */
const MAX_CONFIGS_SIZE = 64 * 1024 * 1024
/** Files read at once. */
const CONCURRENCY = 16

export interface FoundVm {
  readonly vm: VirtualMachine
  /** Its vm.cfg. */
  readonly path: string
  /** Bytes of its vm.cfg. */
  readonly size: number
}

export type FolderProblem = Pick<InventoryProblem, 'message' | 'hides'>

export interface VmFolders {
  /** By folder name, ascending. */
  readonly found: readonly FoundVm[]
  /** What could not be read, in the same order. */
  readonly problems: readonly FolderProblem[]
}

/** Reads `VirtualMachines/<folder>/vm.cfg` of a repository. @throws only the signal's reason */
export async function readVmFolders(place: RepositoryPlace, signal?: AbortSignal): Promise<VmFolders> {
  const root = join(place.mountPoint, 'VirtualMachines')
  const problems: FolderProblem[] = []
  let folders: string[] = []
  try {
    folders = await listFolders(place, root, signal)
  } catch (error) {
    signal?.throwIfAborted()
    const missing = systemCode(error) === 'ENOENT'
    const message = `${root} can't be read: ${describe(error)}${missing ? '; is the repository mounted?' : ''}`
    problems.push({ message, ...(!missing && { hides: {} }) })
  }
  if (folders.length > MAX_FOLDERS) {
    const message = `${root} has more than ${MAX_FOLDERS} folders; the machines of the others are not known`
    problems.push({ message, hides: {} })
    folders.length = MAX_FOLDERS
  }
  const paths = folders.sort().map((folder) => join(root, folder, 'vm.cfg'))
  const found: FoundVm[] = []
  let size = 0
  for (let start = 0; start < paths.length; start += CONCURRENCY) {
    signal?.throwIfAborted()
    if (size > MAX_CONFIGS_SIZE) {
      const message = `the files from ${paths[start]} on are not read: those before have ${size} bytes together`
      problems.push({ message, hides: {} })
      break
    }
    const batch = paths.slice(start, start + CONCURRENCY)
    for (const result of await Promise.all(batch.map((path) => readConfig(place, path)))) {
      if ('message' in result) problems.push(result)
      else {
        found.push(result)
        size += result.size
      }
    }
  }
  return { found, problems }
}

/** One more than the limit tells that there are too many. Names beginning with a dot are left out. */
async function listFolders(place: RepositoryPlace, root: string, signal?: AbortSignal): Promise<string[]> {
  const folders: string[] = []
  await using held = await holdInRepository(place, root, 'VM_CONFIG_INVALID')
  for await (const entry of await opendir(held.path)) {
    signal?.throwIfAborted()
    if (entry.name.startsWith('.') || !(entry.isDirectory() || entry.isSymbolicLink())) continue
    folders.push(entry.name)
    if (folders.length > MAX_FOLDERS) break
  }
  return folders
}

async function readConfig(place: RepositoryPlace, path: string): Promise<FoundVm | FolderProblem> {
  try {
    const bytes = await readRepositoryFile(place, path, {
      maxBytes: MAX_CONFIG_SIZE,
      refusedCode: 'VM_CONFIG_INVALID',
    })
    if (bytes === undefined)
      return { message: `${path} doesn't exist, so the machine of that folder is not known` }
    return { vm: parseVmConfig(bytes, path), path, size: bytes.length }
  } catch (error) {
    if (error instanceof DiskferryError)
      return { message: error.message, hides: { vm: basename(dirname(path)) } }
    throw error
  }
}
