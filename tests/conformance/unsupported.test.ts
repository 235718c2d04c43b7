/**
 * The conformance suite skips a check only for what a manifest calls unsupported. This is all that ours may: a feature that
 * is added to a manifest takes checks away, and has to be added here too.
 */

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { loadFactory } from './support.ts'

const UNSUPPORTED: Readonly<Record<string, readonly string[]>> = {
  btrfs: [],
  cifs: ['deduplicate', 'defragment'],
  nfs42: ['deduplicate', 'defragment', 'keep-size', 'zero-range'],
  ocfs2: ['clone-range', 'zero-range'],
  xfs: [],
}

test('our backends call these features unsupported, and no others', async () => {
  const folders = await readdir(new URL('../../backends', import.meta.url), { withFileTypes: true })
  const names = folders.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const found = await Promise.all(
    names.map(async (name) => {
      const { manifest } = (await loadFactory(name))({})
      return [name, Object.keys(manifest.unsupported ?? {}).sort()] as const
    }),
  )
  assert.deepEqual(Object.fromEntries(found), UNSUPPORTED)
})
