import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hookProgram } from './hook-program.ts'

/**
 * A hook that can make the next snapshot wait: `before` after everything was checked and before the first clone, `after`
 * when all is cloned and nothing says so yet.
 */
export interface HookHold {
  /** For the server: its line in the table `[quiesce]`. */
  readonly config: string
  /** For a core of its own. */
  readonly command: readonly string[]
  next(): Promise<HeldHook>
}

export interface HeldHook extends AsyncDisposable {
  /** Waits until a snapshot waits. */
  reached(): Promise<void>
  /** Lets it go on. */
  release(): Promise<void>
}

export async function hookHold(folder: string, name: 'before' | 'after' = 'before'): Promise<HookHold> {
  const wait = join(folder, `wait-${name}`)
  const program = await hookProgram(folder, name, `while [ -e '${wait}' ]; do sleep 0.1; done`)
  const release = () => rm(wait, { force: true })
  return {
    command: [program.path],
    config: `${name} = [${JSON.stringify(program.path)}]\n`,
    async next() {
      const calls = (await program.calls()).length
      await writeFile(wait, '')
      return { reached: () => program.called(calls + 1), release, [Symbol.asyncDispose]: release }
    },
  }
}
