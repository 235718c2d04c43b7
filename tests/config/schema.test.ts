import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { parse } from 'smol-toml'
import type { KeySpec } from '../../config/key-spec.ts'
import { renderExample } from '../../config/render-example.ts'
import { renderReference } from '../../config/render-reference.ts'
import { SCHEMA } from '../../config/schema.ts'
import { isTomlTable } from '../../config/toml-type.ts'
import { makeWorkspace, SECRET } from './workspace.ts'

const UPDATE = 'run `npx tsx config/update-generated.ts`'

const specs: readonly KeySpec[] = SCHEMA
const paths = specs.map((spec) => spec.path)
const example = await readFile(new URL('../../config/diskferry.example.toml', import.meta.url), 'utf8')
const manual = await readFile(new URL('../../docs/configuration.md', import.meta.url), 'utf8')

/** Every # that has no space behind it stands before a key or a heading. */
const uncommented = example.replaceAll(/^#(?=\S)/gm, '')

function named(table: Readonly<Record<string, unknown>>, prefix = ''): [path: string, value: unknown][] {
  return Object.entries(table).flatMap(([key, value]): [string, unknown][] => {
    const path = `${prefix}${key}`
    if (paths.includes(path)) return [[path, value]]
    if (Array.isArray(value)) return value.flatMap((item) => named(item, `${path}[].`))
    return isTomlTable(value) ? named(value, `${path}.`) : [[path, value]]
  })
}

function namedKeys(text: string): string[] {
  return named(parse(text)).map(([path]) => path)
}

describe('the example file', () => {
  it('is the one that the schema makes', () => {
    assert.equal(example, renderExample(), UPDATE)
  })

  it('names exactly the keys of the schema, once each', () => {
    assert.deepEqual(namedKeys(uncommented).toSorted(), paths.toSorted())
  })

  it('leaves only what is required uncommented', () => {
    const required = specs
      .filter((spec) => spec.required && !spec.path.includes('[]'))
      .map((spec) => spec.path)
    assert.deepEqual(namedKeys(example).toSorted(), required.toSorted())
  })

  it('does not start the program with a secret that everybody can read', async () => {
    await using workspace = await makeWorkspace()
    const problems = await workspace.problems(example)
    assert.ok(problems.some((line) => /jwt\.secret: .*openssl rand/.test(line)))
  })

  for (const [what, text] of [
    ['as it is', example],
    ['with everything uncommented', uncommented],
  ] as const) {
    it(`is good ${what}, once it has a secret and files of this host`, async () => {
      await using workspace = await makeWorkspace()
      const pem = await readFile(workspace.certificate)
      for (const name of ['ca.pem', 'ovm-ca.pem']) await workspace.write(name, pem)
      const local = text
        .replace('replace me', SECRET)
        .replace(/^#?db_file = .*$/m, 'db_file = "/etc/diskferry/exporter.db"')
        .replaceAll('/etc/diskferry/', `${workspace.folder}/`)
        .replace('/var/log/', `${workspace.folder}/`)
      const { config } = await workspace.load(local)
      assert.equal(config.api.port, 5544)
    })
  }

  it('shows as a default what is the default', () => {
    const shown = new Map(named(parse(uncommented)))
    for (const spec of specs)
      if ('default' in spec) assert.equal(shown.get(spec.path), spec.default, spec.path)
  })
})

describe('docs/configuration.md', () => {
  it('holds what the schema makes', () => {
    assert.equal(manual, renderReference(manual), UPDATE)
  })

  it('lists exactly the keys of the schema', () => {
    const listed = [...manual.matchAll(/^### `([^`]+)`$/gm)].map((match) => match[1])
    assert.deepEqual(listed, paths)
  })

  it('shows samples that are good', async () => {
    await using workspace = await makeWorkspace()
    const samples = [...manual.matchAll(/^```toml\n([\s\S]*?)^```$/gm)].map((match) => match[1]!)
    assert.equal(samples.length, 3)
    for (const sample of samples) {
      const isWhole = sample.includes('[api.tls]')
      const text = (isWhole ? `db_file = "${workspace.path('db')}"\n${sample}` : workspace.toml('', sample))
        .replace('secret = "..."', `secret = "${SECRET}"`)
        .replaceAll('/etc/diskferry/', `${workspace.folder}/`)
        .replace('p=3$..."', `p=3$${'A'.repeat(22)}$${'A'.repeat(43)}"`)
      await workspace.load(text)
    }
  })
})

describe('the schema', () => {
  it('says of every key what it is and why, in a sentence each', () => {
    for (const { path, doc, reason } of specs) {
      for (const text of [doc, reason]) assert.match(text, /^\S.*\.$/, path)
    }
  })

  it('has a default or a sample for every key that the example shows', () => {
    for (const spec of specs) {
      const isShown = ('default' in spec && spec.default !== undefined) || spec.sample !== undefined
      assert.equal(isShown, spec.type !== 'table', spec.path)
    }
  })
})
