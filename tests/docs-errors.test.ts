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

describe('docs/operations.md', () => {
  it('names among the faults of the host every code of one, no other, and its status', async () => {
    const text = await readFile(new URL('../docs/operations.md', import.meta.url), 'utf8')
    const faults = /^## Faults$(.*?)^## /ms.exec(text)?.[1] ?? ''
    assert.match(faults, /\]\(errors\.md\) has every code/)
    const named = [...faults.matchAll(/`([A-Z]+(?:_[A-Z]+)*)`(?: \((\d{3})\))?/g)]
    const ofHost = ERROR_CODES.filter((code) => ERROR_STATUS[code].status >= 500)
    assert.deepEqual(
      ofHost.filter((code) => !named.some(([, name]) => name === code)),
      [],
      'not told',
    )
    for (const [, name, status] of named) {
      const code = ERROR_CODES.find((known) => known === name)
      assert.ok(code !== undefined, `there is no code ${name}`)
      if (status !== undefined) assert.equal(status, String(ERROR_STATUS[code].status), code)
    }
  })
})
