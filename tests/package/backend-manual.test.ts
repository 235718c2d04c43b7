import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import * as core from '../../core/index.ts'
import * as native from '../../native/index.ts'
import { PROJECT } from './pack-project.ts'

const read = (path: string) => readFile(join(PROJECT, path), 'utf8')
const manual = await read('docs/writing-a-backend.md')
const contract = await read('core/storage-backend.ts')

/** The names in the first column of the table that follows a line. */
function namesBelow(line: string): readonly string[] {
  const start = manual.indexOf(`\n${line}\n`)
  assert.notEqual(start, -1, `there is no line '${line}'`)
  const table = manual.slice(start).match(/(?:^\|.*\n)+/m)?.[0] ?? ''
  const rows = table.split('\n').filter((row) => /^\| `/.test(row))
  const columns = rows.map((row) => row.split('|')[1]!)
  return columns.flatMap((column) => [...column.matchAll(/`(\w+)`/g)].map(([, name]) => name!))
}

/** The members of an interface of the contract, in order. */
function membersOf(name: string): readonly string[] {
  const body = new RegExp(`^export interface ${name} \\{\\n([\\s\\S]*?)^\\}`, 'm').exec(contract)?.[1] ?? ''
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)].map(([, member]) => member!)
}

describe('docs/writing-a-backend.md', () => {
  const blocks = [...manual.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code]) => code)

  it('begins with the backend of the template', async () => {
    assert.equal(blocks[0], await read('examples/backend-template/src/index.ts'))
  })

  it("shows the template's test whole", async () => {
    assert.ok(blocks.includes(await read('examples/backend-template/test/conformance.test.ts')))
  })

  for (const [heading, name] of [
    ['### The manifest', 'BackendManifest'],
    ['### The operations', 'StorageBackend'],
    ['### An extent', 'Extent'],
    ['### A changed range', 'ChangedRange'],
  ] as const) {
    it(`lists each member of ${name}, and no other`, () => {
      const members = membersOf(name).filter((member) => member !== 'manifest')
      assert.ok(members.length >= 4, `found only ${members.join(', ')} in the contract`)
      assert.deepEqual([...namesBelow(heading)].sort(), [...members].sort())
    })
  }

  for (const [name, exported] of [
    ['core', core],
    ['native', native],
  ] as const) {
    it(`lists each tool that diskferry/${name} exports, and no other`, () => {
      assert.deepEqual([...namesBelow(`| \`diskferry/${name}\` | |`)].sort(), Object.keys(exported).sort())
    })
  }
})
