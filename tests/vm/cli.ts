/** `npm run vm -- [options] -- command...` */

import { constants } from 'node:os'
import { resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { ensureDebianPackages } from '../support/debian-packages.ts'
import { MachineTimeout, runInMachine } from './machine.ts'
import { VM_PACKAGES } from './packages.ts'
import { MachineError } from './uml.ts'

/** As timeout(1) and env(1) have them. */
const EXIT_TIMEOUT = 124
const EXIT_FAILURE = 125
const UNITS = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 } as const

interface CliOptions {
  readonly modules: readonly string[]
  readonly disk: readonly number[]
  readonly scratch?: number
  readonly memory: number
  readonly network: boolean
  readonly writable?: string
  readonly timeout: number
  readonly console: boolean
  readonly verbose: boolean
}

function size(text: string): number {
  const [, digits, unit] = /^(\d{1,9})([KMGT]?)$/.exec(text) ?? []
  if (digits === undefined)
    throw new InvalidArgumentError('It is a number of bytes, with K, M, G or T behind it.')
  return Number(digits) * UNITS[unit as keyof typeof UNITS]
}

function seconds(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It is a whole number of seconds.')
  return Number(text)
}

const program = new Command('vm')
  .description(
    "Runs a command in the test machine: Debian's kernel in user mode, with the files of this machine below a layer that goes with it.",
  )
  .argument('<command...>', 'program and arguments; starts in the folder of the project')
  .option('--modules <names>', 'kernel modules to load, commas between them', (text) => text.split(','), [])
  .option(
    '--disk <size>',
    'an empty disk, /dev/ubda and so on; may be repeated',
    (text, all: number[]) => [...all, size(text)],
    [],
  )
  .option('--scratch <size>', 'a disk for temporary files, instead of memory', size)
  .option('--memory <size>', 'memory of the machine', size, 2 * UNITS.G)
  .option('--network', 'a way out through this machine', false)
  .option(
    '--writable <directory>',
    'a folder of this machine that is writable inside, under the same path',
    (path) => resolve(path),
  )
  .option('--timeout <seconds>', `end it then, with exit code ${EXIT_TIMEOUT}`, seconds, 300)
  .option('--console', "write the kernel's messages to standard error", false)
  .option('--verbose', 'tell how long the boot took', false)
  .passThroughOptions()
  .showHelpAfterError()

async function main(): Promise<number> {
  program.parse()
  const options = program.opts<CliOptions>()
  const interrupt = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => interrupt.abort(name))
  }
  try {
    ensureDebianPackages(VM_PACKAGES)
    const { exitCode, bootMs } = await runInMachine({
      command: program.args as unknown as readonly [string, ...string[]],
      modules: options.modules,
      disks: options.disk,
      memoryBytes: options.memory,
      network: options.network,
      timeoutMs: options.timeout * 1000,
      signal: interrupt.signal,
      stdout: process.stdout,
      stderr: process.stderr,
      onWork: (sentence) => console.error(sentence),
      ...(options.scratch === undefined ? {} : { scratchBytes: options.scratch }),
      ...(options.writable === undefined ? {} : { writableDirectory: options.writable }),
      ...(options.console ? { console: process.stderr } : {}),
    })
    if (options.verbose) console.error(`The machine booted in ${(bootMs / 1000).toFixed(1)} s.`)
    return exitCode
  } catch (error) {
    const { aborted, reason } = interrupt.signal
    if (aborted) return 128 + constants.signals[reason as NodeJS.Signals]
    console.error(error instanceof MachineError || error instanceof Error ? error.message : error)
    return error instanceof MachineTimeout ? EXIT_TIMEOUT : EXIT_FAILURE
  }
}

process.exitCode = await main()
