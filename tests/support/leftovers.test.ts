import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { storageKind } from '../storage/matrix.ts'
import { command } from './command.ts'
import { RUN_DIRECTORY_VARIABLE, removeLeftovers } from './leftovers.ts'
import { mountOrSkip } from './storage-test.ts'
import { temporaryDirectory } from './temporary-directory.ts'

test('a process that outlives its test run is named and ended', async () => {
  await using directory = await temporaryDirectory('leftovers')
  const env = { ...process.env, [RUN_DIRECTORY_VARIABLE]: directory.path }
  const child = spawn('sleep', ['600'], { env, detached: true, stdio: 'ignore' })
  const exited = once(child, 'exit')
  assert.deepEqual(await removeLeftovers(directory.path), [`process ${child.pid}: sleep 600`])
  assert.deepEqual(await exited, [null, 'SIGKILL'])
  assert.deepEqual(await removeLeftovers(directory.path), [])
})

test('a mount that outlives its test run is named and taken away, with its loop device', async (t) => {
  const filesystem = await mountOrSkip(storageKind('xfs'), t)
  if (filesystem === undefined) return
  await using _unmounted = filesystem
  const directory = join(filesystem.mountPoint, '..')
  const [mount] = await removeLeftovers(directory)
  assert.equal(mount, `mount ${filesystem.mountPoint}`)
  assert.deepEqual(await removeLeftovers(directory), [])
})

test('a loop device without a mount is named and detached', async (t) => {
  const filesystem = await mountOrSkip(storageKind('xfs'), t)
  if (filesystem === undefined) return
  await using _removed = filesystem
  await filesystem.unmount()
  const device = (await command('losetup', ['--find', '--show', filesystem.image])).trim()
  assert.deepEqual(await removeLeftovers(join(filesystem.mountPoint, '..')), [`loop device ${device}`])
  assert.deepEqual(await removeLeftovers(join(filesystem.mountPoint, '..')), [])
})
