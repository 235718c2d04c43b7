import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runInsideTests } from './inside-tests.ts'

const TESTS = fileURLToPath(new URL('..', import.meta.url))
const GIB = 1024 ** 3
/** Eight minutes on an idle machine; the other tests run at the same time. */
const TIMEOUT_MS = 40 * 60_000

const { INSIDE_TESTS, INSIDE_PATTERN } = process.env

const files = (await readdir(TESTS, { recursive: true }))
  .filter((name) => name.endsWith('.inside.ts'))
  .filter((name) => INSIDE_TESTS === undefined || INSIDE_TESTS.split(',').some((part) => name.includes(part)))
  .sort()
  .map((name) => join(TESTS, name))

test('the tests that need the test machine pass in it', { timeout: TIMEOUT_MS }, async (t) => {
  await runInsideTests(t, files, {
    disks: Array<number>(6).fill(16 * GIB),
    scratchBytes: 16 * GIB,
    timeoutMs: TIMEOUT_MS,
    ...(INSIDE_PATTERN === undefined ? {} : { pattern: INSIDE_PATTERN }),
  })
})
