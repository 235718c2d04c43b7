import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseGoDuration } from '../../config/go-duration.ts'

const HOUR = 3_600_000

describe('a duration as Go writes it', () => {
  for (const [text, milliseconds] of [
    ['168h', 168 * HOUR],
    ['1h30m', 1.5 * HOUR],
    ['1.5h', 1.5 * HOUR],
    ['.5h', 0.5 * HOUR],
    ['1.h', HOUR],
    ['90s', 90_000],
    ['300ms', 300],
    ['1us', 0.001],
    ['1\u00b5s', 0.001],
    ['1\u03bcs', 0.001],
    ['5ns', 0.000005],
    ['+5s', 5000],
    ['0', 0],
    ['0s', 0],
    ['1h1h', 2 * HOUR],
    ['2540400h10m10.000000000s', 2_540_400 * HOUR + 610_000],
    ['2562047h47m16.854775807s', 9_223_372_036_854.775],
  ] as const) {
    it(`${text} is ${milliseconds} ms`, () => {
      assert.ok(Math.abs(parseGoDuration(text)! - milliseconds) <= milliseconds * Number.EPSILON * 4)
    })
  }

  for (const text of [
    '',
    '-1h',
    '-0.5s',
    '+',
    '1',
    '90',
    'h',
    '.s',
    '.',
    '1d',
    '1 h',
    '1h ',
    ' 1h',
    '1H',
    '1.2.3h',
    '1e3s',
    '++1s',
    '+-1s',
    '1h-1m',
    'toString',
    '2562047h47m16.854775808s',
    '9999999999999999999h',
    `${'9'.repeat(100_000)}h`,
  ]) {
    it(`${JSON.stringify(text.slice(0, 30))} is none`, () => assert.equal(parseGoDuration(text), undefined))
  }
})
