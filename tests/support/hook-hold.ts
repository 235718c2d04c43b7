import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hookProgram } from './hook-program.ts'

/** A hook that can make the next snapshot wait, after everything was checked and before the first clone. */
export interface HookHold {
  /** For the server: the table `[quiesce]`. */
  readonly config: string
  /** For a core of its own: `quiesce.before`. */
  readonly before: readonly string[]
  next(): Promise<HeldHook>
}

export interface HeldHook extends AsyncDisposable {
  /** Waits until a snapshot waits. */
  reached(): Promise<void>
  /** Lets it go on. */
  release(): Promise<void>
}

export async function hookHold(folder: string): Promise<HookHold> {
  const wait = join(folder, 'wait')
  const program = await hookProgram(folder, 'before', `while [ -e '${wait}' ]; do sleep 0.1; done`)
  const release = () => rm(wait, { force: true })
  return {
    before: [program.path],
    config: `[quiesce]\nbefore = [${JSON.stringify(program.path)}]\n`,
    async next() {
      const calls = (await program.calls()).length
      await writeFile(wait, '')
      return { reached: () => program.called(calls + 1), release, [Symbol.asyncDispose]: release }
    },
  }
}
