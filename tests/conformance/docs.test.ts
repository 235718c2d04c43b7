import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { FILESYSTEM_FEATURES } from '../../conformance/features.ts'
import { CHECK_GROUPS } from '../../conformance/index.ts'

const text = await readFile(new URL('../../docs/conformance.md', import.meta.url), 'utf8')

describe('docs/conformance.md', () => {
  it('lists every check in its group and in order, says when it fails, and lists no other', () => {
    const sections = text.split(/^### /m).slice(1)
    const documented = sections.map((section) => ({
      name: section.slice(0, section.indexOf('\n')),
      checks: [...section.matchAll(/^\| (.+?) \| (.+) \|$/gm)]
        .map(([, check, fails]) => ({ check, fails }))
        .filter(({ check }) => check !== 'check'),
    }))
    assert.deepEqual(
      documented.map(({ name, checks }) => ({ name, checks: checks.map(({ check }) => check) })),
      CHECK_GROUPS.map(({ name, checks }) => ({ name, checks: checks.map((check) => check.name) })),
    )
  })

  it('names every feature that a manifest may say is unsupported', () => {
    const sentence = /The features are ([\s\S]*?)\. A refusal/.exec(text)?.[1] ?? ''
    const named = [...sentence.matchAll(/`([a-z-]+)`/g)].map(([, feature]) => feature)
    assert.deepEqual(named, [...FILESYSTEM_FEATURES])
  })
})

describe('the names of the checks', () => {
  it('are each used once', () => {
    const names = CHECK_GROUPS.flatMap(({ checks }) => checks.map(({ name }) => name))
    assert.equal(new Set(names).size, names.length)
  })
})
