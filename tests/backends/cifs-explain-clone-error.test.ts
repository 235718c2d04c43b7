import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explainCloneError } from '../../backends/cifs/explain-clone-error.ts'
import { SystemCallError } from '../../native/system-call-error.ts'

for (const [errno, reason] of [
  [95, /^the SMB server does not offer duplicate-extents .* \(EOPNOTSUPP: /],
  [22, /^the SMB server does not offer duplicate-extents .* \(EINVAL: /],
  [11, /^the SMB server does not answer: .* \(EAGAIN: /],
  [112, /^the SMB server does not answer: .* \(EHOSTDOWN: /],
  [28, /^ENOSPC: ioctl\(FICLONE\) '\/source' -> '\/target'$/],
] as const) {
  test(`a clone refused with ${errno} is explained as ${reason}`, () => {
    assert.match(
      explainCloneError(new SystemCallError('ioctl(FICLONE)', errno, '/source', '/target')),
      reason,
    )
  })
}
