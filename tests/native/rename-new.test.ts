import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { renameNew } from '../../native/rename-new.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

test('a file gets a name that is free, and not one that is taken', async () => {
  await using folder = await temporaryDirectory('rename-new')
  const path = (name: string) => join(folder.path, name)
  await writeFile(path('one'), 'one')
  await renameNew(path('one'), path('zwei, ünïcode'))
  assert.equal(await readFile(path('zwei, ünïcode'), 'utf8'), 'one')

  await writeFile(path('other'), 'other')
  await assert.rejects(renameNew(path('other'), path('zwei, ünïcode')), (error: NodeJS.ErrnoException) => {
    assert.equal(error.code, 'EEXIST')
    assert.equal(error.path, path('other'))
    return true
  })
  await assert.rejects(renameNew(path('missing'), path('new')), { code: 'ENOENT' })
  assert.deepEqual((await readdir(folder.path)).sort(), ['other', 'zwei, ünïcode'])
})
