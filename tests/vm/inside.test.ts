import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runInsideTests } from './inside-tests.ts'

const TESTS = fileURLToPath(new URL('..', import.meta.url))
const GIB = 1024 ** 3
const TIMEOUT_MS = 8 * 60_000

const files = (await readdir(TESTS, { recursive: true }))
  .filter((name) => name.endsWith('.inside.ts'))
  .sort()
  .map((name) => join(TESTS, name))

test('every *.inside.ts passes in the test machine', { timeout: TIMEOUT_MS }, async (t) => {
  await runInsideTests(t, files, {
    disks: Array<number>(6).fill(16 * GIB),
    scratchBytes: 16 * GIB,
    timeoutMs: TIMEOUT_MS,
  })
})
