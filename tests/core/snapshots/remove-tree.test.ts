import assert from 'node:assert/strict'
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { removeTree } from '../../../core/snapshots/remove-tree.ts'
import { swapNames } from '../../support/link-swapper.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const ROUNDS = 30
const FILES = 200

/** Node's own rm() fails it, within a few rounds: it reads the folder behind the link and removes what has the same names. */
it('a folder that is swapped for a link while it is removed is never emptied behind that link', async () => {
  await using directory = await temporaryDirectory('remove-tree')
  const elsewhere = join(directory.path, 'elsewhere')
  await mkdir(elsewhere)
  for (let n = 0; n < FILES; n += 1) await writeFile(join(elsewhere, `file-${n}`), '')
  for (let round = 0; round < ROUNDS; round += 1) {
    const tree = join(directory.path, 'tree')
    const inside = join(tree, 'deep')
    await mkdir(inside, { recursive: true })
    for (let n = 0; n < FILES; n += 1) await writeFile(join(inside, `file-${n}`), '')
    await symlink(elsewhere, join(directory.path, 'trap'))
    {
      // It ends when one of the names is removed.
      await using _swapping = await swapNames(inside, join(directory.path, 'trap'), true)
      await removeTree(directory.path, 'tree').catch(() => undefined)
    }
    assert.equal((await readdir(elsewhere)).length, FILES, `round ${round}`)
    await removeTree(directory.path, 'tree')
    await removeTree(directory.path, 'trap')
  }
})

it('what is gone already is no error', async () => {
  await using directory = await temporaryDirectory('remove-tree')
  await removeTree(directory.path, 'nothing')
})
