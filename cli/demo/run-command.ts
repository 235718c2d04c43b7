import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { DiskferryError, describe, systemCode } from '../../core/errors.ts'

const run = promisify(execFile)

/** Runs a program without a shell. @throws INTERNAL with what the program printed; ENOENT is kept as the cause */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: { readonly signal?: AbortSignal; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  try {
    const { stdout } = await run(command, args, options)
    return stdout
  } catch (error) {
    options.signal?.throwIfAborted()
    const printed = (error as { stderr?: string }).stderr?.trim()
    throw new DiskferryError('INTERNAL', `${command} ${args.join(' ')}: ${printed || describe(error)}`, {
      cause: error,
    })
  }
}

/** Is there such a program? */
export async function hasCommand(command: string): Promise<boolean> {
  try {
    await run(command, ['--version'])
    return true
  } catch (error) {
    return systemCode(error) !== 'ENOENT'
  }
}
