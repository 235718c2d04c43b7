import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

export const PROJECT = fileURLToPath(new URL('../..', import.meta.url))

/** Names the whole program in one file, which starts in less than half the time. `npm test` makes one for all tests. */
export const BUNDLE_VARIABLE = 'DISKFERRY_TEST_PROGRAM'

/** What node is given to run the program's sources in `PROJECT`. */
export const SOURCES: readonly string[] = ['--import', 'tsx', 'main.ts']

/** The same for the program in one file, where there is one. Plugins share modules with a program, which that has not. */
export const PROGRAM: readonly string[] = bundled()

export interface ProgramResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command of the program to its end. */
export function runProgram(...args: readonly string[]): Promise<ProgramResult> {
  return runProgramWith({}, ...args)
}

/** The same with more in its environment. Its code is null when it was killed. */
export async function runProgramWith(
  env: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<ProgramResult> {
  const child = spawn(process.execPath, [...PROGRAM, ...args], {
    cwd: PROJECT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'exit') as Promise<[number | null]>
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code, stdout, stderr }
}

function bundled(): readonly string[] {
  const bundle = process.env[BUNDLE_VARIABLE]
  return bundle === undefined ? SOURCES : [bundle]
}
