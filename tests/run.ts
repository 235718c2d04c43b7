/**
 * What `npm test` runs: the checks, every test file, and at the end a look for what was left behind.
 *
 * `npm test -- PATH...` runs only the test files named, or below the folders named, without the checks.
 * Arguments that begin with a dash go to node's test runner.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { STORAGE } from './storage/matrix.ts'
import { ensureDebianPackages, TEST_PACKAGES } from './support/debian-packages.ts'
import { RUN_DIRECTORY_VARIABLE, removeLeftovers } from './support/leftovers.ts'
import { BUNDLE_VARIABLE } from './support/program.ts'
import { bundle } from './vm/bundle.ts'
import { VM_PACKAGES } from './vm/packages.ts'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))
const CHECKS: Readonly<Record<string, readonly string[]>> = {
  'type check': [join(PROJECT, 'node_modules/.bin/tsc'), '--noEmit'],
  lint: [join(PROJECT, 'node_modules/.bin/biome'), 'check', '.'],
}

let interrupted = false
let running: ChildProcess | undefined

function interrupt(): void {
  // The group: the test runner and every process that its tests started. Asked twice, it is not asked again.
  if (running?.pid !== undefined) process.kill(-running.pid, interrupted ? 'SIGKILL' : 'SIGTERM')
  interrupted = true
}

/** @returns whether it ended with exit code 0 */
function execute(
  [program, ...args]: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<boolean> {
  return new Promise((settle, reject) => {
    running = spawn(program!, args, {
      cwd: PROJECT,
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
    })
    running.once('error', reject)
    running.once('exit', (code) => {
      running = undefined
      settle(code === 0)
    })
  })
}

/** Node 20 does not expand a glob itself. */
async function testFiles(paths: readonly string[]): Promise<readonly string[]> {
  const files: string[] = []
  for (const path of paths) {
    const absolute = resolve(path)
    if (!statSync(absolute).isDirectory()) files.push(absolute)
    else
      for (const name of await readdir(absolute, { recursive: true })) {
        if (name.endsWith('.test.ts')) files.push(join(absolute, name))
      }
  }
  return [...new Set(files)].sort()
}

async function runTests(
  files: readonly string[],
  options: readonly string[],
  directory: string,
): Promise<boolean> {
  const report = join(directory, 'report.tap')
  const [program] = await bundle([join(PROJECT, 'main.ts')], directory)
  const passed = await execute(
    [
      process.execPath,
      ...['--import', 'tsx', '--test', `--test-concurrency=${availableParallelism() + 1}`],
      ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
      ...['--test-reporter=tap', `--test-reporter-destination=${report}`],
      ...options,
      ...files,
    ],
    { ...process.env, [RUN_DIRECTORY_VARIABLE]: directory, TMPDIR: directory, [BUNDLE_VARIABLE]: program },
  )
  const { FORBID_SKIPS } = process.env
  if (!FORBID_SKIPS || interrupted) return passed
  const skipped = readFileSync(report, 'utf8').match(/^ *ok .* # SKIP.*$/gm) ?? []
  if (skipped.length === 0) return passed
  console.error(`\nFORBID_SKIPS is set, but these tests were skipped:\n${skipped.join('\n')}`)
  return false
}

async function main(args: readonly string[]): Promise<readonly string[]> {
  const failed: string[] = []
  const options = args.filter((arg) => arg.startsWith('-'))
  const paths = args.filter((arg) => !arg.startsWith('-'))
  const files = await testFiles(paths.length === 0 ? [join(PROJECT, 'tests')] : paths)
  ensureDebianPackages([...TEST_PACKAGES, ...VM_PACKAGES, ...STORAGE.flatMap((kind) => kind.packages)])

  for (const [name, check] of paths.length === 0 ? Object.entries(CHECKS) : []) {
    if (interrupted) break
    console.log(`# ${name}`)
    if (!(await execute(check))) failed.push(name)
  }
  if (interrupted) return failed

  const directory = mkdtempSync(join(tmpdir(), 'diskferry-tests-'))
  // Tests run programs as ordinary users, who must get through to what is theirs.
  chmodSync(directory, 0o711)
  try {
    if (!(await runTests(files, options, directory))) failed.push('tests')
  } finally {
    const leftovers = await removeLeftovers(directory)
    if (leftovers.length > 0) {
      failed.push('leftovers')
      console.error(`\nThe tests left behind, and it was removed:\n${leftovers.join('\n')}`)
    }
    rmSync(directory, { recursive: true, force: true })
  }
  return failed
}

process.on('SIGINT', interrupt)
process.on('SIGTERM', interrupt)
try {
  const failed = await main(process.argv.slice(2))
  if (interrupted) process.exitCode = 130
  else if (failed.length > 0) {
    console.error(`\nFailed: ${failed.join(', ')}`)
    process.exitCode = 1
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
