import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))
const MAX_LINES = 300
const NOT_OURS = new Set(['node_modules', 'dist', '.git', '.cache'])
const OWN_PACKAGE: Readonly<Record<string, string>> = {
  'diskferry/core': 'core/index.ts',
  'diskferry/native': 'native/index.ts',
  'diskferry/conformance': 'conformance/index.ts',
}

interface Layer {
  /** Folders of ours that it may import, beside itself. */
  readonly ours: readonly string[]
  readonly packages: readonly RegExp[]
}

/** cli, api -> core <- backends -> native; inventory -> core; config is a leaf; conformance is what its users are. */
const LAYERS: Readonly<Record<string, Layer>> = {
  core: { ours: [], packages: [/^keyv$/, /^@keyv\/sqlite$/] },
  native: { ours: ['core/index.ts', 'core/fault-points.ts'], packages: [/^koffi$/] },
  backends: { ours: ['core/index.ts', 'native/index.ts'], packages: [] },
  conformance: { ours: ['core/index.ts', 'native/index.ts'], packages: [] },
  inventory: { ours: ['core/'], packages: [/^pickleparser$/] },
  config: { ours: ['core/errors.ts'], packages: [/^smol-toml$/] },
  api: {
    ours: ['core/', 'config/'],
    packages: [/^fastify$/, /^fastify-plugin$/, /^@fastify\//, /^undici$/, /^pino$/, /^keyv$/],
  },
  container: {
    ours: ['core/', 'config/', 'api/', 'backends/', 'inventory/', 'native/'],
    packages: [/^tsyringe$/],
  },
  bench: { ours: ['core/', 'native/'], packages: [] },
  examples: { ours: ['core/index.ts', 'native/index.ts', 'conformance/index.ts'], packages: [] },
  cli: {
    ours: ['core/', 'config/', 'api/', 'inventory/', 'native/', 'conformance/', 'container.ts', 'container/'],
    packages: [/^commander$/, /^pino$/, /^undici$/, /^selfsigned$/],
  },
}

interface SourceFile {
  /** From the project's root: `core/errors.ts`. */
  readonly path: string
  readonly text: string
  readonly imports: readonly string[]
}

const files = await readSources()

describe('the direction of imports', () => {
  for (const [layer, allowed] of Object.entries(LAYERS)) {
    test(`${layer}/ imports only what it may`, () => {
      const wrong = files
        .filter(({ path }) => path.startsWith(`${layer}/`))
        .flatMap((file) => file.imports.map((specifier) => ({ file, specifier })))
        .filter(({ file, specifier }) => !isAllowed(file.path, specifier, layer, allowed))
        .map(({ file, specifier }) => `${file.path} imports ${specifier}`)
      assert.deepEqual(wrong, [])
    })
  }

  test('a backend imports our code by package name, as a third party would, and no other backend', () => {
    const wrong = files.flatMap(({ path, imports }) => {
      const folder = /^backends\/[^/]+\//.exec(path)?.[0]
      if (folder === undefined) return []
      const outside = imports.filter(
        (name) => name.startsWith('.') && !join(dirname(path), name).startsWith(folder),
      )
      return outside.map((name) => `${path} imports ${name}`)
    })
    assert.deepEqual(wrong, [])
  })

  test('only the composition root knows tsyringe', () => {
    assert.deepEqual(
      importersOf('tsyringe').filter((path) => !/^container(\.ts$|\/)/.test(path)),
      [],
    )
  })

  test('only native/ knows koffi, and the cable between two test machines', () => {
    assert.deepEqual(
      importersOf('koffi').filter((path) => !path.startsWith('native/')),
      ['tests/vm/cable.ts'],
    )
  })

  test('only main.ts, cli/ and tests/ import the composition root', () => {
    const importers = files.filter(({ path, imports }) =>
      imports.some((name) => /^container(\.ts$|\/)/.test(target(path, name) ?? '')),
    )
    assert.deepEqual(
      importers
        .map(({ path }) => path)
        .filter((path) => !/^(main\.ts$|cli\/|tests\/|container(\.ts$|\/))/.test(path)),
      [],
    )
  })

  test('every folder with sources has a rule', () => {
    const folders = new Set(
      files.map(({ path }) => path.split('/')[0]!).filter((name) => !name.endsWith('.ts')),
    )
    assert.deepEqual(
      [...folders].filter((name) => LAYERS[name] === undefined && name !== 'tests'),
      [],
    )
  })
})

describe('the sources', () => {
  test(`no file has more than ${MAX_LINES} lines`, () => {
    const long = files.map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    assert.deepEqual(
      long.filter(({ lines }) => lines > MAX_LINES),
      [],
    )
  })

  test('no test is left out by a switch', () => {
    assert.deepEqual(filesWith(/\b(test|it|describe|suite|storageTest)\.(only|todo|skip)\b/), [])
  })

  test('nothing is left for later', () => {
    assert.deepEqual(filesWith(/\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b|@ts-[i]gnore|@ts-[n]ocheck/), [])
  })

  test('imports of our own files name them with their suffix', () => {
    const wrong = files.flatMap(({ path, imports }) =>
      imports
        .filter((name) => name.startsWith('.') && !/\.(ts|json)$/.test(name))
        .map((name) => `${path}: ${name}`),
    )
    assert.deepEqual(wrong, [])
  })
})

test('an import is found in each of its forms, and not in comments', () => {
  const text = `
    import a from 'a'
    import { type B, b } from "b"
    import 'c'
    export * from 'd'
    const e = await import('e')
    import type { F } from 'f'
    // import 'g'
    /* from 'h' */
    import {
      type I,
    } from 'i'
    export const j = 'not from'
    export type K = 'neither'`
  assert.deepEqual(importsOf(text), ['a', 'b', 'c', 'd', 'e', 'f', 'i'])
})

function isAllowed(path: string, specifier: string, layer: string, { ours, packages }: Layer): boolean {
  if (isBuiltin(specifier)) return true
  const own = target(path, specifier)
  if (own === undefined) return packages.some((pattern) => pattern.test(specifier))
  return [`${layer}/`, ...ours].some((allowed) =>
    allowed.endsWith('/') ? own.startsWith(allowed) : own === allowed,
  )
}

/** The file of ours that is meant, from the project's root; undefined for a package. */
function target(path: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? join(dirname(path), specifier) : OWN_PACKAGE[specifier]
}

function importersOf(name: string): readonly string[] {
  return files.filter(({ imports }) => imports.includes(name)).map(({ path }) => path)
}

function filesWith(pattern: RegExp): readonly string[] {
  return files.filter(({ text }) => pattern.test(text)).map(({ path }) => path)
}

function importsOf(text: string): readonly string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const statements =
    /^\s*(?:import|export)\s+(?:[\w\s{},*$]+?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm
  return [...code.matchAll(statements)].map(([, named, dynamic]) => named ?? dynamic!)
}

async function readSources(): Promise<readonly SourceFile[]> {
  const entries = await readdir(PROJECT, { withFileTypes: true })
  const paths: string[] = []
  for (const entry of entries) {
    if (NOT_OURS.has(entry.name)) continue
    if (entry.isFile()) paths.push(entry.name)
    if (!entry.isDirectory()) continue
    for (const name of await readdir(join(PROJECT, entry.name), { recursive: true }))
      paths.push(join(entry.name, name))
  }
  const sources = paths.filter((path) => path.endsWith('.ts')).sort()
  return Promise.all(
    sources.map(async (path) => {
      const text = await readFile(join(PROJECT, path), 'utf8')
      return { path, text, imports: importsOf(text) }
    }),
  )
}
