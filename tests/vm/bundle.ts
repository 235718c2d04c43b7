import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, extname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, type Loader, type Plugin } from 'esbuild'

/** Loaded as they are: both find their binaries by where they lie. */
const WITH_BINARIES = /^(koffi|sqlite3)$/

const { resolve } = createRequire(import.meta.url)

/**
 * Packs programs with all that they import into one file each: the test machine starts the server as a single
 * file in a second, and its several hundred files in six. What a module learns of its own place stays as it was.
 *
 * @param target folder for the bundles
 * @returns their paths, in the order of the sources
 */
export async function bundle(sources: readonly string[], target: string): Promise<readonly string[]> {
  const names = sources.map((source, index) => `${index}-${basename(source, extname(source))}`)
  await build({
    entryPoints: sources.map((source, index) => ({ in: source, out: names[index]! })),
    outdir: target,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    target: `node${process.versions.node}`,
    format: 'esm',
    keepNames: true,
    logLevel: 'error',
    plugins: [places],
    // Packages in CommonJS ask for node's own modules by `require`, which a module has not.
    banner: {
      js: `import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(${JSON.stringify(import.meta.url)});`,
    },
  })
  return names.map((name) => join(target, `${name}.mjs`))
}

const places: Plugin = {
  name: 'places',
  setup(builder) {
    builder.onResolve({ filter: WITH_BINARIES }, ({ path }) => ({ path: resolve(path), external: true }))
    builder.onLoad({ filter: /\.[cm]?[jt]s$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      const loader: Loader = path.endsWith('ts') ? 'ts' : 'js'
      const variables = [
        ['__dirname', dirname(path)],
        ['__filename', path],
      ].filter(([name]) => new RegExp(`\\b${name}\\b`).test(text))
      const declared = variables.map(([name, value]) => `var ${name} = ${JSON.stringify(value)};`).join('')
      const url = JSON.stringify(pathToFileURL(path).href)
      return { contents: `${declared}${text.replaceAll(/\bimport\.meta\.url\b/g, url)}`, loader }
    })
  },
}
