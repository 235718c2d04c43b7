import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { mountsBelow } from '../support/mounts.ts'
import { storageTest } from '../support/storage-test.ts'

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
const NOBODY = 65_534

function startDemo(
  args: readonly string[],
  folder: string,
  uid?: number,
): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, ['--import', 'tsx', 'main.ts', 'demo', ...args], {
    cwd: PROJECT,
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid !== undefined && { uid, gid: uid }),
  })
}

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'diskferry-demo-test-'))
  // An ordinary user must be able to reach it.
  await chmod(folder, 0o777)
  try {
    await work(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function outcome(child: ReturnType<typeof startDemo>) {
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { out, err, code: code as number | null }
}

async function assertNothingLeft(folder: string): Promise<void> {
  assert.deepEqual(mountsBelow(folder), [])
  const ours = (await readdir(folder)).filter((name) => name.startsWith('diskferry-demo'))
  assert.deepEqual(ours, [])
}

storageTest('xfs', 'the demo does the whole job, says so and leaves nothing', () =>
  withFolder(async (folder) => {
    const { out, err, code } = await outcome(startDemo([], folder))
    assert.equal(code, 0, err)
    assert.match(out, /fetched full +fetched incremental/)
    assert.match(out, /^system\.img \|[#+0o=.]{72}\|$/m)
    assert.match(out, /Every byte of the incremental copies equals the snapshot/)
    await assertNothingLeft(folder)
  }),
)

for (const moment of ['first snapshot', 'full pull', 'incremental pull']) {
  storageTest('xfs', `Ctrl-C after "${moment}" leaves nothing mounted or running`, () =>
    withFolder(async (folder) => {
      const child = startDemo([], folder)
      let printed = ''
      child.stdout.on('data', (piece: Buffer) => {
        printed += piece
        if (printed.includes(moment)) child.kill('SIGINT')
      })
      const { code, err } = await outcome(child)
      assert.equal(code, 130, err)
      assert.match(err, /interrupted; everything was cleaned up/)
      await assertNothingLeft(folder)
    }),
  )
}

storageTest('xfs', '--keep leaves the server up with lines that work, until Ctrl-C', () =>
  withFolder(async (folder) => {
    const child = startDemo(['--keep'], folder)
    let printed = ''
    let answer = ''
    child.stdout.on('data', async (piece: Buffer) => {
      printed += piece
      const lines = /^TOKEN=.*\n(curl .*)$/m.exec(printed)
      if (lines === null || answer !== '' || !printed.endsWith('/repositories\n')) return
      answer = 'asking'
      const shell = spawn('sh', ['-c', lines[0]], { stdio: ['ignore', 'pipe', 'inherit'] })
      answer = await text(shell.stdout)
      child.kill('SIGINT')
    })
    const { code } = await outcome(child)
    assert.equal(code, 0)
    const [vm] = JSON.parse(answer) as { friendly_name: string; snapshots: string[] }[]
    assert.equal(vm?.friendly_name, 'demo-vm')
    assert.equal(vm?.snapshots.length, 2)
    await assertNothingLeft(folder)
  }),
)

test('without root and without a folder the demo says what to do in one sentence', () =>
  withFolder(async (folder) => {
    const { out, err, code } = await outcome(startDemo([], folder, NOBODY))
    assert.equal(code, 2)
    assert.equal(out, '')
    assert.match(
      err,
      /^diskferry: the demo mounts a filesystem of its own, which needs root: .*--directory DIR`\n$/,
    )
  }))

storageTest(
  'xfs',
  'an ordinary user runs the demo in a folder on a reflink filesystem',
  async ({ mount }) => {
    await chmod(dirname(mount), 0o711)
    await chown(mount, NOBODY, NOBODY)
    await withFolder(async (folder) => {
      const { out, err, code } = await outcome(startDemo(['--directory', mount], folder, NOBODY))
      assert.equal(code, 0, err)
      assert.match(out, /Every byte/)
      assert.deepEqual(await readdir(mount), [])
    })
  },
  { sizeBytes: 4 * 1024 ** 3 },
)

storageTest(
  'ext4',
  'a folder on a filesystem without reflink is refused with the reason',
  async ({ mount }) => {
    await withFolder(async (folder) => {
      const { err, code } = await outcome(startDemo(['--directory', mount], folder))
      assert.equal(code, 2)
      assert.match(err, /the demo can't use .*: no storage backend knows the filesystem ext4/)
      assert.deepEqual(await readdir(mount), ['lost+found'])
    })
  },
)
