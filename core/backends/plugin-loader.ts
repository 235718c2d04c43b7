import { isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DiskferryError, describe } from '../errors.ts'
import type { Log } from '../log.ts'
import type { BackendFactory, StorageBackend } from '../storage-backend.ts'
import type { BackendRegistry } from './backend-registry.ts'
import { checkBackendShape } from './manifest-check.ts'
import { packageSeenFrom, shareWithPlugins } from './plugin-imports.ts'
import { settledWithin } from './settled-within.ts'

export interface PluginReference {
  /** A package's name, an absolute path, or one relative to `directory`. */
  readonly module: string
  /** Handed to the module's factory as they are. */
  readonly options: Readonly<Record<string, unknown>>
}

export interface PluginSettings {
  /** Of backends that are registered later: a plugin that takes one is refused, so that it can't stand in for them. */
  readonly reservedNames?: readonly string[]
  /** For importing one module and calling its factory; 30 seconds when left out. */
  readonly timeLimitMs?: number
}

export interface PluginFailure {
  readonly module: string
  /** BACKEND_INVALID or BACKEND_DUPLICATE; its message names the module. */
  readonly error: DiskferryError
}

const TIME_LIMIT_MS = 30_000

/**
 * Loads the backends that the configuration names and registers them, in its order. One that fails is logged, given back
 * and left out: it never takes the others down. Only a module that ends the process, or never gives the thread back, can
 * not be held off; the log's last line then names it.
 *
 * @param directory where relative paths and packages are looked up: the configuration's folder
 */
export async function loadPlugins(
  registry: BackendRegistry,
  plugins: readonly PluginReference[],
  directory: string,
  log: Log,
  settings: PluginSettings = {},
): Promise<readonly PluginFailure[]> {
  const failures: PluginFailure[] = []
  for (const plugin of plugins) {
    const { module } = plugin
    const blame = () =>
      log.error({ module }, `the program ended while the storage backend ${module} was being loaded`)
    process.once('exit', blame)
    try {
      log.info({ module }, 'loading a storage backend')
      const backend = await loadPlugin(plugin, directory, settings)
      registry.register(backend, module)
      const { name, filesystems } = backend.manifest
      log.info({ module, backend: name, filesystems }, 'storage backend loaded')
    } catch (cause) {
      const error = asFailure(module, cause)
      failures.push({ module, error })
      registry.noteFailure(error)
      log.error({ module, err: error }, error.message)
    } finally {
      process.off('exit', blame)
    }
  }
  return failures
}

/**
 * The factory that a module exports, not called yet.
 *
 * @param directory where relative paths and packages are looked up
 * @throws BACKEND_INVALID; the error of importing the module
 */
export async function importFactory(module: string, directory: string): Promise<BackendFactory> {
  shareWithPlugins()
  const { default: factory } = (await importModule(module, directory)) as { default?: unknown }
  if (typeof factory === 'function') return factory as BackendFactory
  const found = factory instanceof Promise ? 'a promise' : typeof factory
  throw invalid(
    `${module} must export a function as default, one that makes a backend; what it exports is ${found}`,
  )
}

async function loadPlugin(
  { module, options }: PluginReference,
  directory: string,
  { reservedNames = [], timeLimitMs = TIME_LIMIT_MS }: PluginSettings,
): Promise<StorageBackend> {
  const made = importFactory(module, directory).then((factory) => factory(options))
  const candidate: unknown = await settledWithin(made, timeLimitMs, () =>
    invalid(`${module} was not loaded after ${timeLimitMs / 1000} s: it waits for something`),
  )
  const backend = checkBackendShape(candidate, module)
  const { name } = backend.manifest
  if (!reservedNames.includes(name)) return backend
  throw new DiskferryError(
    'BACKEND_DUPLICATE',
    `the storage backend from ${module} calls itself ${name}, the name of one that comes with Diskferry: its manifest needs another name`,
  )
}

async function importModule(module: string, directory: string): Promise<unknown> {
  if (isAbsolute(module) || /^\.\.?\//.test(module)) {
    return import(pathToFileURL(resolve(directory, module)).href)
  }
  try {
    return await import(packageSeenFrom(pathToFileURL(join(directory, 'configuration')).href, module))
  } catch (error) {
    if (!isAbsent(error, module)) throw error
  }
  try {
    return await import(packageSeenFrom(import.meta.url, module))
  } catch (cause) {
    if (!isAbsent(cause, module)) throw cause
    throw invalid(`no package ${module} is installed, neither for '${directory}' nor beside Diskferry`, cause)
  }
}

/** Is it the package itself that was not found, rather than something that it imports? */
function isAbsent(error: unknown, module: string): boolean {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown }
  const [first, second] = module.split('/')
  const name = module.startsWith('@') ? `${first}/${second}` : first
  return code === 'ERR_MODULE_NOT_FOUND' && String(message).includes(`package '${name}'`)
}

function asFailure(module: string, cause: unknown): DiskferryError {
  if (cause instanceof DiskferryError && cause.message.includes(module)) return cause
  return invalid(`the storage backend ${module} could not be loaded: ${describe(cause)}`, cause)
}

function invalid(message: string, cause?: unknown): DiskferryError {
  return new DiskferryError(
    'BACKEND_INVALID',
    `${message}; see docs/writing-a-backend.md`,
    cause === undefined ? {} : { cause },
  )
}
