import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { describe, it } from 'node:test'
import { evaluatePreconditions, rangeApplies } from '../../api/conditional-request.ts'

const CURRENT = { etag: '"abc"', lastModified: Date.UTC(2024, 1, 29, 12, 34, 56) / 1000 }
const SAME = 'Thu, 29 Feb 2024 12:34:56 GMT'
const BEFORE = 'Thu, 29 Feb 2024 12:34:55 GMT'
const AFTER = 'Thu, 29 Feb 2024 12:34:57 GMT'

function check(headers: IncomingHttpHeaders) {
  return evaluatePreconditions(headers, CURRENT)
}

describe('evaluatePreconditions()', () => {
  it('proceeds without a condition', () => {
    assert.equal(check({}), 'proceed')
  })

  it('compares If-Match strongly', () => {
    for (const field of ['*', '"abc"', '"x", "abc"', '"x" ,\t"abc",', ',"abc"', '"a,b","abc"']) {
      assert.equal(check({ 'if-match': field }), 'proceed', field)
    }
    for (const field of ['"x"', 'W/"abc"', 'abc', '', '"abc" "x"', '"abc', '"abc";', 'w/"abc"']) {
      assert.equal(check({ 'if-match': field }), 'failed', field)
    }
  })

  it('compares If-None-Match weakly', () => {
    for (const field of ['*', '"abc"', 'W/"abc"', '"x", W/"abc"']) {
      assert.equal(check({ 'if-none-match': field }), 'not-modified', field)
    }
    for (const field of ['"x"', 'abc', '', '"ab"', '"abc"x']) {
      assert.equal(check({ 'if-none-match': field }), 'proceed', field)
    }
  })

  it('compares dates to the second', () => {
    assert.equal(check({ 'if-modified-since': SAME }), 'not-modified')
    assert.equal(check({ 'if-modified-since': AFTER }), 'not-modified')
    assert.equal(check({ 'if-modified-since': BEFORE }), 'proceed')
    assert.equal(check({ 'if-unmodified-since': SAME }), 'proceed')
    assert.equal(check({ 'if-unmodified-since': AFTER }), 'proceed')
    assert.equal(check({ 'if-unmodified-since': BEFORE }), 'failed')
  })

  it('ignores a date that is none', () => {
    assert.equal(check({ 'if-modified-since': 'tomorrow' }), 'proceed')
    assert.equal(check({ 'if-unmodified-since': '1' }), 'proceed')
  })

  it('follows the order of RFC 9110: match before dates, match before none-match', () => {
    assert.equal(check({ 'if-match': '"abc"', 'if-unmodified-since': BEFORE }), 'proceed')
    assert.equal(check({ 'if-none-match': '"x"', 'if-modified-since': SAME }), 'proceed')
    assert.equal(check({ 'if-match': '"x"', 'if-none-match': '"abc"' }), 'failed')
    assert.equal(check({ 'if-match': '"abc"', 'if-none-match': '"abc"' }), 'not-modified')
    assert.equal(check({ 'if-unmodified-since': BEFORE, 'if-none-match': '"abc"' }), 'failed')
  })
})

describe('rangeApplies()', () => {
  it('holds without If-Range, for the exact entity tag and for the exact date', () => {
    assert.equal(rangeApplies({}, CURRENT), true)
    assert.equal(rangeApplies({ 'if-range': '"abc"' }, CURRENT), true)
    assert.equal(rangeApplies({ 'if-range': SAME }, CURRENT), true)
  })

  it('does not hold for anything else', () => {
    for (const field of ['W/"abc"', '"x"', 'abc', '*', '', AFTER, BEFORE, '"abc", "x"']) {
      assert.equal(rangeApplies({ 'if-range': field }, CURRENT), false, field)
    }
  })
})
