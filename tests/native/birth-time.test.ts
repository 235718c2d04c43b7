import assert from 'node:assert/strict'
import { lstat, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { birthTime } from '../../native/birth-time.ts'
import { storageTest } from '../support/storage-test.ts'

storageTest('xfs', 'the birth time of a file is what node says of it too', async ({ mount }) => {
  const path = join(mount, 'file')
  await writeFile(path, '')
  await using handle = await open(path)
  const born = await birthTime(handle.fd, path)
  assert.equal(born, (await lstat(path, { bigint: true })).birthtimeNs)
  await handle.chmod(0o600)
  assert.equal(await birthTime(handle.fd, path), born)
})

test('a file of a filesystem without birth times has none', async () => {
  await using handle = await open('/proc/self/status')
  assert.equal(await birthTime(handle.fd, '/proc/self/status'), undefined)
})

test('a descriptor that is none is the error of the call', async () => {
  await assert.rejects(birthTime(-1, 'nothing'), { code: 'EBADF', syscall: 'statx' })
})
