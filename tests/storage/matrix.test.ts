import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { REFLINK_STORAGE, requiredStorage, STORAGE } from './matrix.ts'

async function projectFile(name: string): Promise<string> {
  return await readFile(new URL(`../../${name}`, import.meta.url), 'utf8')
}

test('continuous integration runs the test command of the README, and nothing after it', async () => {
  assert.match(await projectFile('README.md'), /npm ci && npm test/)
  assert.match(await projectFile('.ci/run'), /^npm ci\nnpm test\n$/m)
})

test('continuous integration requires every filesystem on which snapshots work', async () => {
  const required = /^export REQUIRE_STORAGE=(.*)$/m.exec(await projectFile('.ci/run'))?.[1]
  assert.deepEqual(
    [...requiredStorage(required)],
    REFLINK_STORAGE.map(({ name }) => name),
  )
})

test('a name that the matrix lacks cannot be required', () => {
  assert.throws(() => requiredStorage('xfs,zfs'), /No storage is called zfs; there are xfs, /)
  assert.deepEqual([...requiredStorage(undefined)], [])
})

test('every filesystem names the Debian package of its tools, and has a name of its own', () => {
  assert.equal(new Set(STORAGE.map(({ name }) => name)).size, STORAGE.length)
  for (const { name, packages } of STORAGE) assert.ok(packages.length > 0, name)
})
