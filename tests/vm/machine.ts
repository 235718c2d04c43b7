import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Duplex, Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { temporaryRoot } from '../support/temporary-directory.ts'
import { diskImages } from './disk-images.ts'
import { type MachineFiles, machineFiles } from './machine-files.ts'
import { allowedProcessors, processorOf } from './processors.ts'
import { assignments, quote } from './shell.ts'
import { LineClosed, type Lines, MachineError, startUml } from './uml.ts'
import { diskName, umlArguments } from './uml-arguments.ts'
import { untilMarker } from './until-marker.ts'

export interface MachineOptions {
  /** Program and arguments. This machine's files are there, read-only below a layer that goes with the machine. */
  readonly command: readonly [string, ...string[]]
  /** Where the command starts; the project's folder when left out. */
  readonly directory?: string
  /** Added to PATH, HOME, TMPDIR, LANG and DISKFERRY_VM=1, which are all that it has else. */
  readonly env?: Readonly<Record<string, string>>
  /** Loaded before the command starts, each after those that it needs. The command may call modprobe itself. */
  readonly modules?: readonly string[]
  /** Bytes of each empty disk: /dev/ubda, /dev/ubdb and so on; 16 at most, with that of `scratchBytes`. They take no space until written. */
  readonly disks?: readonly number[]
  /** Open images that other machines write to at the same time; they come before `disks`. */
  readonly sharedDisks?: readonly number[]
  /** It is one of several, with a network between them. */
  readonly peer?: Peer
  /** Bytes of a disk for TMPDIR; when left out it lies in the machine's memory. */
  readonly scratchBytes?: number
  /** 2 GiB when left out. They take no memory until used. */
  readonly memoryBytes?: number
  /** Machines that run at the same time get along best with different ones, 0 and up; any when left out. */
  readonly number?: number
  /** A way out through this machine; the loopback is there without. */
  readonly network?: boolean
  /** A folder that is writable inside, under the same path. */
  readonly writableDirectory?: string
  /** From the start of the boot; five minutes when left out. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** What the command reads, which never gets to an end; nothing when left out. */
  readonly stdin?: Readable
  /** Where the output goes as it comes; it is dropped when left out. Neither is ended. */
  readonly stdout?: Writable
  readonly stderr?: Writable
  /** Gets the kernel's messages. */
  readonly console?: Writable
  /** Told, in a sentence, what takes a while before the boot. */
  readonly onWork?: (sentence: string) => void
}

export interface Peer {
  readonly hostname: string
  /** `10.0.3.1/24`, on the interface `vec0` */
  readonly address: string
  /** One end of a `Cable`. */
  readonly cable: number
}

export interface MachineResult {
  /** Of the command; 128 and the number of the signal that ended it. */
  readonly exitCode: number
  /** From the start of the boot to the start of the command. */
  readonly bootMs: number
}

/** It was ended because its time was over. */
export class MachineTimeout extends MachineError {}

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
const BOOT = fileURLToPath(new URL('boot', import.meta.url))
const SEARCH_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const SCRATCH = '/scratch'
const HOSTNAME = 'diskferry-vm'
const GIB = 1024 ** 3
const DEFAULT_TIMEOUT_MS = 300_000
/** Control, standard input and output, standard error: descriptors 3, 4 and 5 of the kernel, before all others. */
const LINES = [3, 4, 5] as const
const FIRST_DESCRIPTOR = 6
/** UBD has a letter for each: MAX_DEV of arch/um/drivers/ubd_kern.c. */
const MOST_DISKS = 16
const SLIRP = 'usr/bin/slirp-fullbolt'

/**
 * Boots the test machine, runs one command in it, and ends the machine.
 * @throws MachineTimeout, MachineError with the end of the kernel's messages, the signal's reason
 */
export async function runInMachine(options: MachineOptions): Promise<MachineResult> {
  const { signal, timeoutMs = DEFAULT_TIMEOUT_MS, disks = [], scratchBytes, network = false, peer } = options
  const { sharedDisks = [] } = options
  const images = scratchBytes === undefined ? disks : [...disks, scratchBytes]
  const allDisks = sharedDisks.length + images.length
  if (allDisks > MOST_DISKS)
    throw new RangeError(`The test machine takes ${MOST_DISKS} disks at most, and not ${allDisks}.`)
  const files = await machineFiles(options.onWork ?? (() => undefined), signal)
  await using opened = await diskImages(images)
  const descriptors = [...sharedDisks, ...opened.descriptors, ...(peer === undefined ? [] : [peer.cable])]
  const numbers = descriptors.map((_, index) => FIRST_DESCRIPTOR + index)
  const kernel = umlArguments({
    memoryBytes: options.memoryBytes ?? 2 * GIB,
    lines: LINES,
    sharedDisks: numbers.slice(0, sharedDisks.length),
    disks: numbers.slice(sharedDisks.length, allDisks),
    cable: numbers[allDisks],
    network,
    kernelMessages: options.console !== undefined,
  })
  const marker = randomBytes(16).toString('hex')
  const timeout = AbortSignal.timeout(timeoutMs)
  const machine = startUml({
    options: kernel,
    input: [await variables(options, files, marker), script(options)].map(encoded).join(''),
    descriptors,
    network,
    console: options.console,
  })
  try {
    return await machine.during(
      conduct(machine.lines, options, marker),
      AbortSignal.any(signal === undefined ? [timeout] : [timeout, signal]),
    )
  } catch (error) {
    if (!timeout.aborted || error !== timeout.reason) throw error
    throw new MachineTimeout(
      `The test machine was ended after ${timeoutMs / 1000} s.${machine.consoleTail()}`,
    )
  } finally {
    await machine.end()
  }
}

/** A line for `boot/enter`. */
function encoded(text: string): string {
  return `${Buffer.from(text).toString('base64')}\n`
}

/** Listens to `boot/start` from its first word to its last. */
async function conduct(
  [control, stdout, stderr]: Lines,
  options: MachineOptions,
  marker: string,
): Promise<MachineResult> {
  const started = performance.now()
  const end = Buffer.from(`\x1e${marker}`)
  const [result] = await Promise.all([
    answers(control, started, () => options.stdin?.pipe(stdout)),
    pass(untilMarker(stdout, end), options.stdout),
    pass(untilMarker(stderr, end), options.stderr),
  ])
  return result
}

async function answers(control: Duplex, started: number, onReady: () => void): Promise<MachineResult> {
  let bootMs = 0
  for await (const line of createInterface({ input: control })) {
    const [word, ...rest] = line.split(' ')
    if (word === 'ready') {
      bootMs = performance.now() - started
      onReady()
    } else if (word === 'exit') return { exitCode: Number(rest[0]), bootMs }
    else throw new MachineError(`The test machine could not be prepared: ${rest.join(' ')}`)
  }
  throw new LineClosed()
}

async function pass(source: AsyncIterable<Buffer>, target: Writable | undefined): Promise<void> {
  for await (const chunk of source) {
    if (target !== undefined && !target.write(chunk)) await once(target, 'drain')
  }
}

/** For the programs in `boot`. */
async function variables(options: MachineOptions, files: MachineFiles, marker: string): Promise<string> {
  const { kernel, tools } = files
  const {
    modules = [],
    network,
    scratchBytes,
    disks = [],
    sharedDisks = [],
    writableDirectory = '',
  } = options
  const { hostname = HOSTNAME, address = '' } = options.peer ?? {}
  return assignments({
    boot: BOOT,
    kernel: kernel.directory,
    release: kernel.release,
    tools,
    slirp: network === true ? await slirp(files) : '',
    temporary: temporaryRoot(),
    processor: String(processorOf(await allowedProcessors(), options.number)),
    marker,
    modules: modules.join(' '),
    hostname,
    address,
    stdin: options.stdin === undefined ? '' : 'yes',
    network: network === true ? 'yes' : '',
    scratch: scratchBytes === undefined ? '' : `/dev/${diskName(sharedDisks.length + disks.length)}`,
    writable: writableDirectory,
  })
}

function script({ command, directory = PROJECT, env }: MachineOptions): string {
  const path = `${dirname(process.execPath)}:${SEARCH_PATH}`
  const exported = { PATH: path, HOME: SCRATCH, TMPDIR: SCRATCH, LANG: 'C.UTF-8', DISKFERRY_VM: '1', ...env }
  return `${assignments(exported, 'export ')}cd ${quote(directory)} && exec ${command.map(quote).join(' ')}\n`
}

/** It is in the layer of tools unless it is installed on this machine. */
async function slirp({ tools }: MachineFiles): Promise<string> {
  const unpacked = join(tools, SLIRP)
  return access(unpacked).then(
    () => unpacked,
    () => join('/', SLIRP),
  )
}
