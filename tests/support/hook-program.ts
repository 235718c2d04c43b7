import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** A real program for a hook: a shell script that first notes how it was called. */
export interface HookProgram {
  readonly path: string
  /** One line a call: its arguments, each in `<>`. */
  calls(): Promise<readonly string[]>
  /** Waits for that many calls. */
  called(times: number): Promise<void>
}

/** @param body of the script, after it has noted its arguments in `$0.calls` */
export async function hookProgram(folder: string, name: string, body: string): Promise<HookProgram> {
  const path = join(folder, name)
  const script = `#!/bin/sh
line=
for argument in "$@"; do line="$line<$argument>"; done
printf '%s\\n' "$line" >> "$0.calls"
${body}
`
  await writeFile(path, script, { mode: 0o755 })
  const calls = async () => {
    const text = await readFile(`${path}.calls`, 'utf8').catch(() => '')
    return text.split('\n').slice(0, -1)
  }
  return {
    path,
    calls,
    async called(times) {
      // Another process writes the file: there is nothing to await but its content.
      for (let tries = 0; tries < 1000; tries++) {
        if ((await calls()).length >= times) return
        await delay(20)
      }
      throw new Error(`${name} was not called ${times} times`)
    },
  }
}

/** Waits until a process is gone, or dead and not yet looked after. */
export async function processEnded(pid: number): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    const state = /\) (\S)/.exec(status)?.[1]
    if (state === undefined || state === 'Z') return
    await delay(20)
  }
  throw new Error(`process ${pid} goes on`)
}
