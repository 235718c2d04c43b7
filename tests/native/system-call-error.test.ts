import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SystemCallError } from '../../native/system-call-error.ts'

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
