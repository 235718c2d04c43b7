import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { type ConformanceArguments, conformance, seedsFrom } from '../../cli/conformance.ts'
import { DiskferryError } from '../../core/errors.ts'
import { storageTest } from '../support/storage-test.ts'

const COMMAND = new URL('../../cli/conformance.ts', import.meta.url).href

class Output extends Writable {
  text = ''

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

async function run(args: ConformanceArguments): Promise<{ readonly code: number; readonly text: string }> {
  const output = new Output()
  const code = await conformance(args, output)
  return { code, text: output.text }
}

const usage = (message: RegExp) => (error: unknown) =>
  error instanceof DiskferryError && error.code === 'USAGE' && message.test(error.message)

storageTest(
  'xfs',
  'the report tells each check in a line, with the group and the seconds, and ends with 0',
  async ({ mount }) => {
    const { code, text } = await run({ backend: 'xfs', directory: mount, only: 'Manifest and' })
    assert.equal(code, 0)
    assert.match(text, /^Backend xfs on xfs, in \/.*; checks: 6\n\nmanifest and mount\n/)
    assert.match(text, /^ {2}ok {9}\d\.\d\d s {2}the manifest names the filesystem of the mount$/m)
    assert.match(text, /\n6 passed, 0 failed, 0 skipped, in \d+\.\d s\n$/)
  },
)

storageTest(
  'xfs',
  'a failed check is told with what is wrong, in words and in JSON, and the exit code is 1',
  async ({ mount }) => {
    const args = { backend: 'btrfs', directory: mount, only: 'names the filesystem' }
    const { code, text } = await run(args)
    assert.equal(code, 1)
    assert.match(
      text,
      /^ {2}FAILED .* the manifest names the filesystem of the mount\n {20}'.*' is xfs, and the manifest names btrfs/m,
    )
    const inJson = await run({ ...args, json: true })
    assert.equal(inJson.code, 1)
    const { checks, passed, failed, skipped, backend, interrupted } = JSON.parse(inJson.text)
    assert.deepEqual(
      { passed, failed, skipped, interrupted },
      { passed: 0, failed: 1, skipped: 0, interrupted: false },
    )
    assert.equal(backend.name, 'btrfs')
    assert.deepEqual(
      { ...checks[0], reason: '', seconds: 0 },
      {
        group: 'manifest and mount',
        name: 'the manifest names the filesystem of the mount',
        outcome: 'failed',
        reason: '',
        seconds: 0,
        notes: [],
        differingBytes: 0,
        reportedBytes: 0,
      },
    )
    assert.match(checks[0].reason, /is xfs, and the manifest names btrfs/)
  },
)

storageTest(
  'xfs',
  "a module of one's own is tested with its options, and a history is played again",
  async ({ mount }) => {
    const module = join(mount, 'backend.mjs')
    await writeFile(
      module,
      `import honest from ${JSON.stringify(new URL('../../backends/xfs/index.ts', import.meta.url).href)}
     export default ({ name }) => {
       const backend = honest({})
       return { manifest: { ...backend.manifest, name }, checkCompatibility: backend.checkCompatibility,
         clone: backend.clone, extentMap: backend.extentMap, diff: backend.diff }
     }`,
    )
    const history = join(mount, 'history.json')
    await writeFile(history, '[{"do":"write","start":0,"length":5000,"generation":1},{"do":"snapshot"}]')
    const { code, text } = await run({
      backend: module,
      directory: mount,
      options: '{"name": "mine"}',
      only: 'random histories|shape',
      replay: history,
    })
    assert.equal(code, 0, text)
    assert.match(text, /^Backend mine on xfs/)
    assert.doesNotMatch(text, /histories were played/)
  },
)

storageTest('xfs', 'an interrupt ends the run, and leaves nothing in the folder', async ({ mount }) => {
  const script = `import { conformance } from ${JSON.stringify(COMMAND)}
    const args = { backend: 'xfs', directory: ${JSON.stringify(mount)}, only: 'very many', extents: '1000000' }
    process.exitCode = await conformance(args)`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script])
  const closed = once(child, 'close')
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  await once(child.stdout, 'data')
  child.kill('SIGINT')
  assert.deepEqual(await closed, [1, null])
  assert.match(text, /Interrupted after 0 of 1 checks\./)
  assert.deepEqual(await readdir(mount), [])
})

test('arguments that can not be used are told apart, before anything is run', async () => {
  const good = { backend: 'xfs', directory: '/tmp', only: 'shape' }
  for (const [wrong, message] of [
    [{ backend: 'nope' }, /'nope' can't be loaded: .*name one of .*xfs/],
    [{ backend: './nope.mjs' }, /'\.\/nope\.mjs' can't be loaded/],
    [{ directory: '/nowhere' }, /name an existing, writable folder/],
    [{ options: '[]' }, /--options is not a JSON object/],
    [{ options: '{' }, /--options is not JSON/],
    [{ only: '(' }, /--only is not a regular expression/],
    [{ only: 'no such check' }, /no check has a name that matches/],
    [{ seeds: 'x' }, /--seeds: 'x' is neither/],
    [{ extents: '1.5' }, /--extents is a number/],
    [{ extents: '1' }, /extents must be an integer from 2/],
    [{ fullDiskMib: '0' }, /fullDiskBytes must be/],
    [{ timeLimit: '0' }, /timeLimit must be/],
    [{ replay: '/nowhere' }, /--replay: ENOENT/],
  ] as const) {
    await assert.rejects(run({ ...good, ...wrong }), usage(message), JSON.stringify(wrong))
  }
})

test('seeds are numbers and ranges of numbers, each once', () => {
  assert.deepEqual(seedsFrom('7'), [7])
  assert.deepEqual(seedsFrom('1-3, 9,2'), [1, 2, 3, 9])
  for (const wrong of ['', '3-1', '-1', '1-', '1-999999999', '1;2']) {
    assert.throws(() => seedsFrom(wrong), usage(/neither a seed nor a range/), wrong)
  }
})
