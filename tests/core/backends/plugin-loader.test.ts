import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { BackendRegistry } from '../../../core/backends/backend-registry.ts'
import { importFactory, loadPlugins, type PluginSettings } from '../../../core/backends/plugin-loader.ts'
import { DiskferryError } from '../../../core/errors.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))

/** A whole backend, as source. */
const BACKEND = `{
  manifest: { name: options.name, apiVersion: 1, description: '', filesystems: ['x'], difference: 'content' },
  checkCompatibility() {}, clone() {}, extentMap() {}, diff() {},
}`
const GOOD = `export default (options) => (${BACKEND})`

let folder: TemporaryDirectory
before(async () => {
  folder = await temporaryDirectory('plugins')
  await put('good.mjs', GOOD)
})
after(() => folder[Symbol.asyncDispose]())

async function put(name: string, source: string): Promise<void> {
  const path = join(folder.path, name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, source)
}

/** Loads each module with `{ name }` of its place in the list: `one`, `two`, `three`. */
async function load(modules: readonly string[], settings: PluginSettings = {}) {
  const registry = new BackendRegistry()
  const logged: string[] = []
  const log = {
    info: () => undefined,
    warn: () => undefined,
    error: (_: object, message: string) => void logged.push(message),
  }
  const plugins = modules.map((module, place) => ({
    module,
    options: { name: ['one', 'two', 'three'][place]! },
  }))
  const failures = await loadPlugins(registry, plugins, folder.path, log, settings)
  assert.deepEqual(
    failures.map(({ error }) => error.message),
    logged,
  )
  return { registry, failures, names: registry.manifests().map(({ name }) => name) }
}

describe('loading plugins', () => {
  it('registers modules by path, absolute or from the configuration, in its order', async () => {
    const { names, failures } = await load(['./good.mjs', join(folder.path, 'good.mjs')])
    assert.deepEqual(names, ['one', 'two'])
    assert.deepEqual(failures, [])
  })

  it('takes a factory that is asynchronous', async () => {
    await put('patient.mjs', `export default async (options) => (${BACKEND})`)
    assert.deepEqual((await load(['./patient.mjs'])).names, ['one'])
  })

  it('finds a package below the folder of the configuration, also one made only for import', async () => {
    const exports = { '.': { import: './entry.js' } }
    const description = { name: '@example/backend', type: 'module', exports }
    await put('node_modules/@example/backend/package.json', JSON.stringify(description))
    await put('node_modules/@example/backend/entry.js', GOOD)
    assert.deepEqual((await load(['@example/backend'])).names, ['one'])
  })

  it('finds a package that is installed beside Diskferry', async () => {
    // Any package there will do: that it is no backend shows that it was found.
    const { failures } = await load(['smol-toml'])
    assert.match(failures[0]!.error.message, /smol-toml must export a function as default.*object/)
  })

  it("gives a plugin the running program's own core, wherever the plugin lies", async () => {
    await put(
      'importing.mjs',
      `import { DiskferryError } from 'diskferry/core'
       import { DiskferryError as same } from 'diskferry'
       import { cloneFile } from 'diskferry/native'
       export default () => ({ DiskferryError, same, cloneFile })`,
    )
    const factory = await importFactory('./importing.mjs', folder.path)
    const made = factory({}) as unknown as Record<string, unknown>
    assert.equal(made['DiskferryError'], DiskferryError)
    assert.equal(made['same'], DiskferryError)
    assert.equal(typeof made['cloneFile'], 'function')
  })

  it("prefers the running program's core to a copy that the plugin has brought along", async () => {
    const exports = { './core': './other.js' }
    const description = { name: 'diskferry', type: 'module', exports }
    await put('own-copy/node_modules/diskferry/package.json', JSON.stringify(description))
    await put('own-copy/node_modules/diskferry/other.js', 'export class DiskferryError {}')
    await put(
      'own-copy/backend.mjs',
      `import { DiskferryError } from 'diskferry/core'
       export default () => ({ DiskferryError })`,
    )
    const factory = await importFactory('./own-copy/backend.mjs', folder.path)
    assert.equal((factory({}) as unknown as Record<string, unknown>)['DiskferryError'], DiskferryError)
  })
})

describe('a plugin that fails', () => {
  const failing: Readonly<Record<string, readonly [source: string, reason: RegExp]>> = {
    'throws when it is imported': [`throw new Error('no licence')`, /could not be loaded: no licence/],
    'throws something that is no error': [`throw 'a word'`, /could not be loaded: a word/],
    'throws nothing at all': [`throw null`, /could not be loaded: null/],
    'throws what has no text': [`throw Object.create(null)`, /could not be loaded: something was thrown/],
    'throws an error whose message is no text': [
      `const error = new Error(); error.message = Object.create(null); throw error`,
      /could not be loaded: something was thrown/,
    ],
    'has a syntax error': ['export default () => {{', /could not be loaded: .*(Unexpected|expected)/],
    'imports a package that is not there': [`import 'no-such-library'`, /no-such-library/],
    'imports a name that the contract lacks': [
      `import { noSuchName } from 'diskferry/core'`,
      /does not provide an export named 'noSuchName'/,
    ],
    'exports nothing': ['export const something = 1', /must export a function as default.*undefined/],
    'exports a backend instead of a factory': [
      `const options = { name: 'eager' }; export default ${BACKEND}`,
      /must export a function as default.*object/,
    ],
    'exports a promise': [`export default Promise.resolve(() => 1)`, /a function as default.*a promise/],
    'has a factory that throws': [
      `export default () => { throw new Error('no such option') }`,
      /could not be loaded: no such option/,
    ],
    'has a factory that rejects': [
      `export default async () => { throw new Error('no server') }`,
      /could not be loaded: no server/,
    ],
    'throws an error of the contract': [
      `import { DiskferryError } from 'diskferry/core'
       export default () => { throw new DiskferryError('USAGE', 'bad options') }`,
      /could not be loaded: bad options/,
    ],
    'makes nothing': ['export default () => undefined', /can't be used: it is not an object/],
    'is written for another version': [
      `export default (options) => { const made = ${BACKEND}; made.manifest.apiVersion = 2; return made }`,
      /made for version 2 .* this program has 1/,
    ],
    'lacks an operation': [
      `export default (options) => ({ ...${BACKEND}, diff: undefined })`,
      /it has no diff\(\)/,
    ],
  }
  for (const [what, [source, reason]] of Object.entries(failing)) {
    it(`is named with the reason and leaves the others alone, when it ${what}`, async () => {
      const file = `${what.replaceAll(' ', '-')}.mjs`
      await put(file, source)
      const { names, failures } = await load(['./good.mjs', `./${file}`, './good.mjs'])
      assert.deepEqual(names, ['one', 'three'])
      assert.equal(failures.length, 1)
      const { module, error } = failures[0]!
      assert.equal(module, `./${file}`)
      assert.equal(error.code, 'BACKEND_INVALID')
      assert.ok(error.message.includes(file), error.message)
      assert.match(error.message, reason)
    })
  }

  it('is named when there is no such file', async () => {
    const { failures } = await load(['./absent.mjs'])
    assert.match(failures[0]!.error.message, /\.\/absent\.mjs could not be loaded: Cannot find module/)
  })

  it('is named when it is a folder', async () => {
    const { failures } = await load(['./node_modules'])
    assert.match(failures[0]!.error.message, /\.\/node_modules could not be loaded: Directory import/)
  })

  it('is named with both places when no such package is installed', async () => {
    const { failures } = await load(['no-such-package'])
    const places = new RegExp(`no package no-such-package .*${folder.path}.*beside Diskferry`)
    assert.match(failures[0]!.error.message, places)
  })

  for (const [what, source] of [
    ['while it is imported', 'await new Promise(() => undefined); export default () => 1'],
    ['in its factory', 'export default () => new Promise(() => undefined)'],
    ['because it looks like a promise itself', 'export function then() {}'],
  ] as const) {
    it(`is given up on when it waits for ever ${what}`, async () => {
      const file = `waiting-${source.length}.mjs`
      await put(file, source)
      const { names, failures } = await load([`./${file}`, './good.mjs'], { timeLimitMs: 1000 })
      assert.deepEqual(names, ['two'])
      assert.match(failures[0]!.error.message, /was not loaded after 1 s/)
    })
  }
})

describe('a plugin that takes the name of another', () => {
  it('is refused when the other is a plugin', async () => {
    await put('always-one.mjs', GOOD.replace('options.name', `'one'`))
    const { names, failures } = await load(['./good.mjs', './always-one.mjs', './good.mjs'])
    assert.deepEqual(names, ['one', 'three'])
    assert.equal(failures[0]?.error.code, 'BACKEND_DUPLICATE')
    assert.match(failures[0].error.message, /always-one\.mjs calls itself one.*already there/)
  })

  it('is refused when the other comes with Diskferry and is registered later', async () => {
    await put('always-xfs.mjs', GOOD.replace('options.name', `'xfs'`))
    const { names, failures } = await load(['./always-xfs.mjs', './good.mjs'], { reservedNames: ['xfs'] })
    assert.deepEqual(names, ['two'])
    assert.equal(failures[0]?.error.code, 'BACKEND_DUPLICATE')
    assert.match(failures[0].error.message, /always-xfs\.mjs calls itself xfs.*comes with Diskferry/)
  })
})

describe('a plugin that ends the program', () => {
  for (const [what, source] of [
    ['calls process.exit()', 'process.exit(0)'],
    [
      'leaves a rejected promise alone',
      `Promise.reject(new Error('lost')); await new Promise(() => undefined)`,
    ],
  ] as const) {
    it(`is the last that the log names, when it ${what}`, async () => {
      const file = `ending-${source.length}.mjs`
      await put(file, source)
      const lines = await logOfProgramThatLoads(`./${file}`)
      assert.equal(lines.at(-1), `the program ended while the storage backend ./${file} was being loaded`)
    })
  }
})

async function logOfProgramThatLoads(module: string): Promise<readonly string[]> {
  const program = `
    import { BackendRegistry } from './core/backends/backend-registry.ts'
    import { loadPlugins } from './core/backends/plugin-loader.ts'
    const [module, folder] = process.argv.slice(1)
    const write = (_, message) => console.log(message)
    const log = { info: write, warn: write, error: write }
    await loadPlugins(new BackendRegistry(), [{ module, options: {} }], folder, log)`
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', program, module, folder.path],
    { cwd: PROJECT, stdio: ['ignore', 'pipe', 'ignore'] },
  )
  const [out] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return out.trim().split('\n')
}
