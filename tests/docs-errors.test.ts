import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { ERROR_STATUS } from '../api/error-status.ts'
import { ERROR_CODES } from '../core/errors.ts'

interface Row {
  readonly code: string
  readonly status: string
  readonly meaning: string
  readonly remedy: string
}

async function documentedErrors(): Promise<readonly Row[]> {
  const text = await readFile(new URL('../docs/errors.md', import.meta.url), 'utf8')
  return [...text.matchAll(/^\| `([A-Z_]+)` \| (.*) \| (.*) \| (.*) \|$/gm)].map(
    ([, code = '', status = '', meaning = '', remedy = '']) => ({ code, status, meaning, remedy }),
  )
}

describe('docs/errors.md', () => {
  it('lists each code once, in order, and no other', async () => {
    const rows = await documentedErrors()
    assert.deepEqual(
      rows.map(({ code }) => code),
      [...ERROR_CODES],
    )
  })

  it('has the status that the API answers with', async () => {
    const documented = (await documentedErrors()).map(({ code, status }) => [code, status])
    assert.deepEqual(
      documented,
      ERROR_CODES.map((code) => [code, String(ERROR_STATUS[code].status)]),
    )
  })

  it('says of each what it means and what to do', async () => {
    for (const { code, meaning, remedy } of await documentedErrors()) {
      assert.match(meaning, /\.$/, code)
      assert.match(remedy, /\.$/, code)
    }
  })
})
