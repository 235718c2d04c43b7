import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onProcessExit } from '../support/exit-cleanup.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

export interface FuzzReport {
  readonly inputs: number
  /** Inputs that were not refused; of the mutated ones, as `inputs`. */
  readonly taken: number
  /** Bytes of memory, from the first tenth of the time on. */
  readonly growth: number
}

const TARGETS = new URL('targets.ts', import.meta.url)
/** For each target that has any a folder of its name, with one input a file. */
const FOUND = fileURLToPath(new URL('found', import.meta.url))
const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url))
/** For one input; on a busy machine a process may get no processor for seconds. */
const HANG_MS = 15_000
const START_MS = 60_000
/** An input that makes a parser take as much as this ends the process. */
const HEAP_MIB = 256
const SHOWN_BYTES = 4096

export interface FuzzRun {
  readonly module?: URL
  readonly found?: string
  readonly hangMs?: number
}

/**
 * Feeds a target with what was found before, then with mutated inputs for a time.
 * @throws with the seed and the input for a crash, a hang, an error of another kind, a growth of memory
 */
export async function runTarget(
  name: string,
  seed: number,
  milliseconds: number,
  { module = TARGETS, found = FOUND, hangMs = HANG_MS }: FuzzRun = {},
): Promise<FuzzReport> {
  await using directory = await temporaryDirectory('fuzz')
  const file = join(directory.path, 'input')
  const args = [module.href, name, String(seed), String(milliseconds), file, join(found, name)]
  const child = fork(WORKER, args, {
    execArgv: ['--expose-gc', `--max-old-space-size=${HEAP_MIB}`, '--import', 'tsx'],
    env: { ...process.env, TMPDIR: directory.path },
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  })
  const forget = onProcessExit(() => child.kill('SIGKILL'))
  let errors = ''
  let report: FuzzReport | undefined
  let hung = false
  const watch = setTimeout(() => {
    hung = true
    child.kill('SIGKILL')
  }, START_MS)
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-SHOWN_BYTES)
  })
  child.on('message', (message: FuzzReport) => {
    report = message
    clearTimeout(watch)
    beat.refresh()
  })
  const beat = setTimeout(() => {
    if (report === undefined) return
    hung = true
    child.kill('SIGKILL')
  }, hangMs)
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  clearTimeout(watch)
  clearTimeout(beat)
  forget()
  if (code === 0 && report?.taken !== undefined) return report
  const input = await readFile(file).catch(() => Buffer.alloc(0))
  throw new Error(
    [
      `fuzzing ${name} with FUZZ_SEED=${seed}: ${hung ? `no answer in ${hangMs} ms` : `it ended with ${code ?? signal}`}`,
      `after ${report?.inputs ?? 0} inputs. The last input, to be kept in tests/fuzz/found, in base64:`,
      input.subarray(0, SHOWN_BYTES).toString('base64') + (input.length > SHOWN_BYTES ? '...' : ''),
      errors,
    ].join('\n'),
  )
}
