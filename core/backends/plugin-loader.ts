import { createRequire } from 'node:module'
import { isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DiskferryError, describe } from '../errors.ts'
import type { Log } from '../log.ts'
import type { BackendFactory } from '../storage-backend.ts'
import type { BackendRegistry } from './backend-registry.ts'

export interface PluginReference {
  /** A package's name, an absolute path, or one relative to `directory`. */
  readonly module: string
  /** Handed to the module's factory as they are. */
  readonly options: Readonly<Record<string, unknown>>
}

/**
 * Loads the backends that the configuration names and registers them, in its order. One that fails is reported and left
 * out: it never takes the others down.
 *
 * @param directory where relative paths and packages are looked up: the configuration's folder
 */
export async function loadPlugins(
  registry: BackendRegistry,
  plugins: readonly PluginReference[],
  directory: string,
  log: Log,
): Promise<void> {
  for (const { module, options } of plugins) {
    try {
      const factory = await importFactory(module, directory)
      registry.register(await factory(options), module)
      log.info({ module }, 'storage backend loaded')
    } catch (error) {
      log.error(
        { module, err: error },
        `the storage backend ${module} could not be loaded: ${describe(error)}`,
      )
    }
  }
}

/**
 * The factory that a module exports, not called yet.
 *
 * @param directory where relative paths and packages are looked up
 * @throws BACKEND_INVALID; the error of importing the module
 */
export async function importFactory(module: string, directory: string): Promise<BackendFactory> {
  const imported = (await import(locate(module, directory))) as { default?: unknown }
  if (typeof imported.default === 'function') return imported.default as BackendFactory
  throw new DiskferryError(
    'BACKEND_INVALID',
    `${module} has no default export that is a function; see docs/writing-a-backend.md`,
  )
}

function locate(module: string, directory: string): string {
  if (isAbsolute(module) || module.startsWith('./') || module.startsWith('../')) {
    return pathToFileURL(resolve(directory, module)).href
  }
  try {
    return pathToFileURL(createRequire(join(directory, 'noop.js')).resolve(module)).href
  } catch {
    // Not below the configuration's folder: then where Diskferry itself is installed.
    return module
  }
}
