import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runInsideTests } from './inside-tests.ts'

const TESTS = fileURLToPath(new URL('..', import.meta.url))
const GIB = 1024 ** 3
/** Less than eight minutes on an idle machine with two processors; the other tests run at the same time. */
const TIMEOUT_MS = 25 * 60_000

const { INSIDE_TESTS, INSIDE_PATTERN } = process.env

const files = (await readdir(TESTS, { recursive: true }))
  .filter((name) => name.endsWith('.inside.ts'))
  .filter((name) => INSIDE_TESTS === undefined || INSIDE_TESTS.split(',').some((part) => name.includes(part)))
  .sort()

/** A machine each, the next processor for each: the first and the third share one. What is not named here is in the first. */
const SECOND_LANE = [
  'backends/cifs.inside.ts',
  'backends/nfs42.inside.ts',
  'conformance/backends-cifs.inside.ts',
  'conformance/backends-nfs42.inside.ts',
  'storage/crash.inside.ts',
  'storage/delete-during-download.inside.ts',
  'storage/mixed-repositories.inside.ts',
  'storage/refine-ocfs2.inside.ts',
  'storage/repository-locks.inside.ts',
  'vm/kinds.inside.ts',
]
/** They mostly wait for a server that does not answer. */
const THIRD_LANE = ['storage/hanging-server.inside.ts', 'storage/silenced-snapshot.inside.ts']
const NAMED = [...SECOND_LANE, ...THIRD_LANE]
const lanes = [files.filter((name) => !NAMED.includes(name)), SECOND_LANE, THIRD_LANE]
  .map((lane) => lane.filter((name) => files.includes(name)))
  .filter((lane) => lane.length > 0)
  .map((lane) => lane.map((name) => join(TESTS, name)))

test('the tests that need the test machine pass in it', { timeout: TIMEOUT_MS }, async (t) => {
  await runInsideTests(t, lanes, {
    disks: Array<number>(6).fill(16 * GIB),
    scratchBytes: 16 * GIB,
    timeoutMs: TIMEOUT_MS,
    ...(INSIDE_PATTERN === undefined ? {} : { pattern: INSIDE_PATTERN }),
  })
})
