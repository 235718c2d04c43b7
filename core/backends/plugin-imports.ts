/**
 * How the imports of plugins are resolved. This module runs twice: in the program, and in the thread of node's module
 * hooks, which `register` loads it into. https://nodejs.org/docs/latest-v20.x/api/module.html#customization-hooks
 */

import { type ResolveHook, register } from 'node:module'

/** What a plugin may import of ours; the names of `exports` in package.json. */
const OUR_NAMES = ['diskferry', 'diskferry/core', 'diskferry/native', 'diskferry/conformance']

const PACKAGE_OF_PLUGIN = 'diskferry-plugin:'

type Shared = Readonly<Record<string, string>>

let shared: Shared = {}
let registered = false

/**
 * From now on every module that imports Diskferry by name gets the running program's own instance, wherever the module
 * lies, and whatever else of that name is installed there: an error that a plugin throws is then an error of ours.
 */
export function shareWithPlugins(): void {
  if (registered) return
  registered = true
  const data: Shared = Object.fromEntries(OUR_NAMES.map((name) => [name, import.meta.resolve(name)]))
  register(import.meta.url, { data })
}

/** What to import for the package `name` as a module at `parentUrl` would find it. Only after `shareWithPlugins`. */
export function packageSeenFrom(parentUrl: string, name: string): string {
  return `${PACKAGE_OF_PLUGIN}${new URLSearchParams({ name, parentUrl })}`
}

/** Called by node, in the thread of the hooks. */
export function initialize(data: Shared): void {
  shared = data
}

/** Called by node, in the thread of the hooks. */
export const resolve: ResolveHook = (specifier, context, nextResolve) => {
  if (!specifier.startsWith(PACKAGE_OF_PLUGIN)) return nextResolve(shared[specifier] ?? specifier, context)
  const wanted = new URLSearchParams(specifier.slice(PACKAGE_OF_PLUGIN.length))
  return nextResolve(wanted.get('name')!, { ...context, parentURL: wanted.get('parentUrl')! })
}
