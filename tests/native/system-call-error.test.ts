import assert from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { test } from 'node:test'
import { SystemCallError } from '../../native/system-call-error.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

for (const [errno, code] of [
  [2, 'ENOENT'],
  [11, 'EAGAIN'],
  [95, 'EOPNOTSUPP'],
  [112, 'EHOSTDOWN'],
  [116, 'ESTALE'],
  [121, 'EREMOTEIO'],
  [122, 'EDQUOT'],
  [524, 'ERRNO_524'],
] as const) {
  test(`error ${errno} is ${code}`, () => {
    const error = new SystemCallError('ioctl(FICLONE)', errno, '/source', '/target')
    assert.equal(error.code, code)
    assert.equal(error.errno, -errno)
    assert.equal(error.message, `${code}: ioctl(FICLONE) '/source' -> '/target'`)
  })
}

test('a path through a descriptor is shown as where it leads', async () => {
  await using folder = await temporaryDirectory('system-call-error')
  await using handle = await open(folder.path)
  const file = `/proc/${process.pid}/fd/${handle.fd}/disk.img`
  const error = new SystemCallError('openat2', 5, file)
  assert.equal(error.message, `EIO: openat2 '${folder.path}/disk.img'`)
  assert.equal(error.path, file)
})
