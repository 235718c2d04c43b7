import { constants } from 'node:fs'
import { access, realpath } from 'node:fs/promises'
import { DiskferryError, describeError, type Mount, type StorageBackend } from 'diskferry/core'
import { readMounts } from 'diskferry/native'
import { type ConformanceOptions, type Settings, settingsFrom } from './options.ts'

/** What is tested, and where; the same for every check. */
export interface Suite {
  readonly backend: StorageBackend
  /** Another instance that knows nothing of the first; the first itself when there is no factory. */
  readonly secondBackend: StorageBackend
  readonly hasFactory: boolean
  /** Without links. */
  readonly directory: string
  readonly mount: Mount
  readonly settings: Settings
}

/** @throws USAGE when the folder can't be used or a setting is out of range; BACKEND_INVALID when there is no backend */
export async function openSuite(options: ConformanceOptions): Promise<Suite> {
  const settings = settingsFrom(options)
  const directory = await usableDirectory(options.directory)
  const mount = await mountOf(directory)
  const backend = await makeBackend(options)
  const hasFactory = typeof options.backend === 'function'
  const secondBackend = hasFactory ? await makeBackend(options) : backend
  return { backend, secondBackend, hasFactory, directory, mount, settings }
}

async function makeBackend({ backend, backendOptions = {} }: ConformanceOptions): Promise<StorageBackend> {
  let made: unknown = backend
  if (typeof backend === 'function') {
    try {
      made = await backend(backendOptions)
    } catch (cause) {
      throw new DiskferryError('BACKEND_INVALID', `the backend's factory failed: ${describeError(cause)}`, {
        cause,
      })
    }
  }
  const { manifest } = (made ?? {}) as { readonly manifest?: unknown }
  if (typeof manifest === 'object' && manifest !== null) return made as StorageBackend
  throw new DiskferryError(
    'BACKEND_INVALID',
    'the backend is not an object with a manifest; see docs/writing-a-backend.md',
  )
}

async function usableDirectory(directory: ConformanceOptions['directory']): Promise<string> {
  const path = typeof directory === 'function' ? await directory() : directory
  try {
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK)
    return await realpath(path)
  } catch (cause) {
    throw new DiskferryError(
      'USAGE',
      `the folder to test in can't be used: ${describeError(cause)}; name an existing, writable folder on the filesystem`,
      { cause },
    )
  }
}

/** The mount that holds a path without links. */
async function mountOf(path: string): Promise<Mount> {
  let found: Mount | undefined
  for (const mount of await readMounts()) {
    const { mountPoint } = mount
    const holds = mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`)
    if (holds && mountPoint.length >= (found?.mountPoint.length ?? 0)) found = mount
  }
  if (found === undefined)
    throw new DiskferryError('USAGE', `no mount of /proc/self/mountinfo holds '${path}'`)
  return found
}
