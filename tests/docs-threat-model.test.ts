import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { SCHEMA } from '../config/schema.ts'

const text = await readFile(new URL('../docs/threat-model.md', import.meta.url), 'utf8')

describe('docs/threat-model.md', () => {
  it('names only tests that there are', async () => {
    const tests = (await readdir(new URL('.', import.meta.url), { recursive: true })).join('\n')
    const named = [...text.matchAll(/(?<!\*)\*(?:Tests: )?(`[^*]*)\*/g)].flatMap(([, list = '']) =>
      [...list.matchAll(/`([\w./-]+)`/g)].map(([, name = '']) => name.replace(/^tests\//, '')),
    )
    assert.ok(named.length > 12, named.join(', '))
    assert.deepEqual(
      named.filter(
        (name) =>
          !tests.includes(`${name}.test.ts`) && !tests.includes(`${name}.ts`) && !tests.includes(`${name}/`),
      ),
      [],
    )
  })

  it('names only keys of the configuration that there are', () => {
    const keys = [...text.matchAll(/`((?:api|auth|ovm|jwt)\.[a-z_.]+)`/g)].map(([, key]) => key!)
    const known: readonly string[] = SCHEMA.map(({ path }) => path)
    assert.ok(keys.length >= 6)
    assert.deepEqual(
      keys.filter((key) => !known.includes(key)),
      [],
    )
  })
})
