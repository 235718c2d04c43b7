import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { causedByAbort } from '../../api/caused-by-abort.ts'
import { errorAnswer } from '../../api/error-answer.ts'
import { ERROR_STATUS } from '../../api/error-status.ts'
import { DiskferryError, ERROR_CODES } from '../../core/errors.ts'

const SECRET_PATH = '/OVS/Repositories/r1/secret.img'

describe('errorAnswer()', () => {
  it('sends the message of a 4xx and hides the message of a 5xx, for every code', () => {
    for (const code of ERROR_CODES) {
      const { status, body } = errorAnswer(new DiskferryError(code, SECRET_PATH), 'the-id')
      assert.equal(status, ERROR_STATUS[code].status)
      assert.equal(body.code, code)
      assert.equal(body.error, ERROR_STATUS[code].error)
      if (status < 500) assert.equal(body.details, SECRET_PATH)
      else {
        assert.doesNotMatch(JSON.stringify(body), /secret/, code)
        assert.match(body.details, /request id the-id/, code)
      }
    }
  })

  it('sends what a 5xx has for clients', () => {
    const error = new DiskferryError('REPOSITORY_FULL', SECRET_PATH, { clientMessage: 'It is full.' })
    const { status, body } = errorAnswer(error, 'the-id')
    assert.equal(status, 507)
    assert.match(body.details, /^It is full\. /)
  })

  it('hides the message when another status makes it a 5xx', () => {
    const { status, body } = errorAnswer(new DiskferryError('VM_BUSY', SECRET_PATH), 'the-id', 503)
    assert.equal(status, 503)
    assert.equal(body.error, 'Service Unavailable')
    assert.doesNotMatch(body.details, /secret/)
  })

  it('calls anything else an internal error and tells nothing of it', () => {
    for (const thrown of [new Error(SECRET_PATH), SECRET_PATH, undefined, null, { statusCode: 400 }]) {
      const { status, body } = errorAnswer(thrown, 'the-id')
      assert.equal(status, 500)
      assert.deepEqual([body.error, body.code], ['Server error', 'INTERNAL'])
      assert.doesNotMatch(body.details, /secret/)
    }
  })

  it('does not believe a system error that it is a refusal', () => {
    const error = Object.assign(new Error(`ENOENT: ${SECRET_PATH}`), { code: 'ENOENT', errno: -2 })
    assert.equal(errorAnswer(error, 'the-id').status, 500)
  })
})

describe('causedByAbort()', () => {
  const aborted = AbortSignal.abort(new DiskferryError('ABORTED', 'gone'))

  it('finds the abort at the end of the causes', () => {
    const cause = new DOMException('aborted', 'AbortError')
    assert.equal(causedByAbort(new DiskferryError('CLONE_FAILED', 'x', { cause }), aborted), true)
    assert.equal(causedByAbort(aborted.reason, aborted), true)
  })

  it('does not hide a failure that has another cause', () => {
    assert.equal(causedByAbort(new DiskferryError('STORE_FAILED', 'x'), aborted), false)
  })

  it('holds for no error while the client is there', () => {
    assert.equal(causedByAbort(aborted.reason, new AbortController().signal), false)
    assert.equal(causedByAbort(aborted.reason, undefined), false)
  })

  it('ends on an error that causes itself', () => {
    const error = new Error('round')
    error.cause = error
    assert.equal(causedByAbort(error, aborted), false)
  })
})
