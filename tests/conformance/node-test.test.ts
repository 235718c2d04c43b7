import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CHECK_GROUPS } from '../../conformance/index.ts'
import { storageTest } from '../support/storage-test.ts'

const CONSUMER = fileURLToPath(new URL('consumer.ts', import.meta.url))
const XFS = new URL('../../backends/xfs/index.ts', import.meta.url).href
const EXPECTED = CHECK_GROUPS.flatMap(({ name: group, checks }) =>
  checks
    .filter(({ name }) => group === 'manifest and mount' || name.startsWith('a clone holds'))
    .map(({ name }) => `${group}: ${name}`),
)

function runConsumer(
  backend: string,
  directory: string,
): { readonly code: number | null; readonly tap: string } {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const result = spawnSync(process.execPath, ['--import', 'tsx', '--test', '--test-reporter=tap', CONSUMER], {
    env: { ...env, BACKEND: backend, DIRECTORY: directory },
    encoding: 'utf8',
  })
  return { code: result.status, tap: result.stdout }
}

storageTest('xfs', 'a test file of a few lines runs each check as a test of node:test', ({ mount }) => {
  const { code, tap } = runConsumer(XFS, mount)
  assert.equal(code, 0, tap)
  const passed = [...tap.matchAll(/^ok \d+ - (.*)$/gm)].map(([, name]) => name)
  assert.deepEqual(passed, EXPECTED)
})

storageTest(
  'xfs',
  'in that file a backend that makes empty clones fails by the checks that say so',
  async ({ mount }) => {
    const backend = join(mount, 'empty-clones.mjs')
    await writeFile(
      backend,
      `import { writeFile } from 'node:fs/promises'
     import honest from ${JSON.stringify(XFS)}
     export default (options) => {
       const backend = honest(options)
       backend.clone = (source, target) => writeFile(target, '', { flag: 'wx' })
       return backend
     }`,
    )
    const { code, tap } = runConsumer(backend, mount)
    assert.equal(code, 1, tap)
    assert.match(tap, /not ok \d+ - clone: a clone holds every byte of its source, whatever the size\n/)
    assert.match(tap, /\bok \d+ - manifest and mount: the manifest names the filesystem of the mount\n/)
  },
)

storageTest('xfs', 'a folder that is not there fails every test, with what to do', ({ mount }) => {
  const { code, tap } = runConsumer(XFS, join(mount, 'missing'))
  assert.equal(code, 1)
  assert.match(tap, /name an existing, writable folder on the filesystem/)
  assert.doesNotMatch(tap, /^ok/m)
})
