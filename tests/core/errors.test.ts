import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getSystemErrorName } from 'node:util'
import { DiskferryError, describe, systemCode } from '../../core/errors.ts'

/** As node's fs makes it. */
function nodeError(errno: number): Error {
  const code = getSystemErrorName(errno)
  return Object.assign(new Error(`${code}: ${code}, open '/mnt/disk'`), { code, errno, syscall: 'open' })
}

for (const [errno, name, text] of [
  [-116, 'ESTALE', 'stale file handle'],
  [-122, 'EDQUOT', 'the disk quota is exceeded'],
  [-117, 'EUCLEAN', 'the filesystem is damaged and needs a check'],
  [-37, 'ENOLCK', 'ENOLCK'],
] as const) {
  test(`${name}, which node does not know, has its name`, () => {
    const error = nodeError(errno)
    assert.match(error.message, /^Unknown system error/)
    assert.equal(systemCode(error), name)
    assert.equal(describe(error), `${name}: ${text}, open '/mnt/disk'`)
  })
}

test('an error that nobody knows keeps its number', () => {
  const error = nodeError(-999)
  assert.equal(systemCode(error), 'Unknown system error -999')
  assert.equal(describe(error), error.message)
})

test('only errors of system calls have a system code', () => {
  assert.equal(systemCode(nodeError(-2)), 'ENOENT')
  assert.equal(systemCode(new DiskferryError('INTERNAL', 'a fault')), undefined)
  assert.equal(systemCode(Object.assign(new Error('no number'), { code: 'ERR_INVALID_ARG_TYPE' })), undefined)
  assert.equal(systemCode(undefined), undefined)
})

test('of several errors the first counts', () => {
  const several = new AggregateError([nodeError(-28), nodeError(-30)], 'both')
  assert.equal(systemCode(several), 'ENOSPC')
  assert.equal(systemCode(new AggregateError([])), undefined)
})
