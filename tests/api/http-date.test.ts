import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseHttpDate } from '../../api/http-date.ts'

const EXAMPLE = Date.UTC(1994, 10, 6, 8, 49, 37) / 1000

describe('parseHttpDate()', () => {
  it('reads the three forms of RFC 9110', () => {
    for (const text of [
      'Sun, 06 Nov 1994 08:49:37 GMT',
      'Sunday, 06-Nov-94 08:49:37 GMT',
      'Sun Nov  6 08:49:37 1994',
    ]) {
      assert.equal(parseHttpDate(text), EXAMPLE, text)
    }
  })

  it('reads back what toUTCString() writes', () => {
    for (const seconds of [0, 951_826_500, 4_102_444_799]) {
      assert.equal(parseHttpDate(new Date(seconds * 1000).toUTCString()), seconds)
    }
  })

  it('takes a two-digit year more than 50 years ahead for one of the past', () => {
    const now = new Date('2030-01-01T00:00:00Z')
    assert.equal(parseHttpDate('Friday, 01-Jan-80 00:00:00 GMT', now), Date.UTC(2080, 0, 1) / 1000)
    assert.equal(parseHttpDate('Friday, 01-Jan-81 00:00:00 GMT', now), Date.UTC(1981, 0, 1) / 1000)
  })

  it('refuses what only looks like a date', () => {
    for (const text of [
      '',
      '0',
      '1994-11-06T08:49:37Z',
      'Sun, 6 Nov 1994 08:49:37 GMT',
      'Sun, 06 Nov 1994 08:49:37 UTC',
      'Sun, 06 Nov 1994 24:00:00 GMT',
      'Sun, 31 Feb 1994 08:49:37 GMT',
      'Sun, 00 Nov 1994 08:49:37 GMT',
      'sun, 06 nov 1994 08:49:37 gmt',
      ' Sun, 06 Nov 1994 08:49:37 GMT',
      'Sun, 06 Nov 1994 08:49:37 GMT, Mon, 07 Nov 1994 08:49:37 GMT',
    ]) {
      assert.equal(parseHttpDate(text), undefined, text)
    }
  })
})
