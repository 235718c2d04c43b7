import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import type { Duplex, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { diskImages } from './disk-images.ts'
import { machineFiles } from './machine-files.ts'
import { MachineError, PortClosed, type Ports, startQemu } from './qemu.ts'
import { qemuArguments } from './qemu-arguments.ts'
import { assignments, quote } from './shell.ts'
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
  /** Bytes of each empty disk: /dev/vda, /dev/vdb and so on. They take no space until written. */
  readonly disks?: readonly number[]
  /** Bytes of each empty disk that the machine reaches as memory: /dev/pmem0, /dev/pmem1 and so on, after the modules. */
  readonly fastDisks?: readonly number[]
  /** Bytes of a disk for TMPDIR; when left out it lies in the machine's memory. */
  readonly scratchBytes?: number
  /** 2 GiB when left out. */
  readonly memoryBytes?: number
  /** One when left out: emulated ones wake each other so slowly that a single program is slower on two. */
  readonly processors?: number
  /** A way out through this machine; the loopback is there without. */
  readonly network?: boolean
  /** A folder that is writable inside, under the same path. */
  readonly writableDirectory?: string
  /** From the start of the boot; five minutes when left out. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** Where the output goes as it comes; it is dropped when left out. Neither is ended. */
  readonly stdout?: Writable
  readonly stderr?: Writable
  /** Gets the kernel's messages. */
  readonly console?: Writable
  /** Told, in a sentence, what takes a while before the boot. */
  readonly onWork?: (sentence: string) => void
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
const SEARCH_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const SCRATCH = '/scratch'
const GIB = 1024 ** 3
const DEFAULT_TIMEOUT_MS = 300_000
/** Control, standard output, standard error: descriptors 3, 4 and 5 of QEMU, before those of the disks. */
const PORTS = [3, 4, 5] as const
const FIRST_DISK = 6
/** The table of non-volatile memory that the firmware hands over, and its disks. */
const FAST_DISK_MODULES = ['nfit', 'nd_pmem']

/**
 * Boots the test machine, runs one command in it, and ends the machine.
 * @throws MachineTimeout, MachineError with the end of the kernel's messages, the signal's reason
 */
export async function runInMachine(options: MachineOptions): Promise<MachineResult> {
  const { signal, timeoutMs = DEFAULT_TIMEOUT_MS, writableDirectory } = options
  const { disks = [], fastDisks = [], scratchBytes } = options
  const files = await machineFiles(options.onWork ?? (() => undefined), signal)
  const slow = scratchBytes === undefined ? disks : [...disks, scratchBytes]
  await using images = await diskImages([...slow, ...fastDisks])
  const qemu = qemuArguments({
    files,
    memoryBytes: options.memoryBytes ?? 2 * GIB,
    processors: options.processors ?? 1,
    ports: PORTS,
    disks: slow.map((_, index) => FIRST_DISK + index),
    fastDisks: fastDisks.map((bytes, index) => ({ descriptor: FIRST_DISK + slow.length + index, bytes })),
    network: options.network ?? false,
    writableDirectory,
    kernelMessages: options.console !== undefined,
  })
  const timeout = AbortSignal.timeout(timeoutMs)
  const machine = startQemu(qemu, images.descriptors, options.console)
  try {
    return await machine.during(
      conduct(machine.ports, options),
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

/** Talks to `boot/start` from its first word to its last. */
async function conduct([control, stdout, stderr]: Ports, options: MachineOptions): Promise<MachineResult> {
  const started = performance.now()
  const marker = randomBytes(16).toString('hex')
  for (const text of [variables(options, marker), script(options)]) {
    control.write(`${Buffer.from(text).toString('base64')}\n`)
  }
  const end = Buffer.from(`\x1e${marker}`)
  const [result] = await Promise.all([
    answers(control, started),
    pass(untilMarker(stdout, end), options.stdout),
    pass(untilMarker(stderr, end), options.stderr),
  ])
  return result
}

async function answers(control: Duplex, started: number): Promise<MachineResult> {
  let bootMs = 0
  for await (const line of createInterface({ input: control })) {
    const [word, ...rest] = line.split(' ')
    if (word === 'ready') bootMs = performance.now() - started
    else if (word === 'exit') return { exitCode: Number(rest[0]), bootMs }
    else throw new MachineError(`The test machine could not be prepared: ${rest.join(' ')}`)
  }
  throw new PortClosed()
}

async function pass(source: AsyncIterable<Buffer>, target: Writable | undefined): Promise<void> {
  for await (const chunk of source) {
    if (target !== undefined && !target.write(chunk)) await once(target, 'drain')
  }
}

/** For `boot/start`. */
function variables(options: MachineOptions, marker: string): string {
  return assignments({
    marker,
    modules: [...(options.fastDisks === undefined ? [] : FAST_DISK_MODULES), ...(options.modules ?? [])].join(
      ' ',
    ),
    network: options.network === true ? 'yes' : '',
    scratch: options.scratchBytes === undefined ? '' : diskDevice(options.disks?.length ?? 0),
    writable: options.writableDirectory ?? '',
  })
}

function script({ command, directory = PROJECT, env }: MachineOptions): string {
  const path = `${dirname(process.execPath)}:${SEARCH_PATH}`
  const exported = { PATH: path, HOME: SCRATCH, TMPDIR: SCRATCH, LANG: 'C.UTF-8', DISKFERRY_VM: '1', ...env }
  return `${assignments(exported, 'export ')}cd ${quote(directory)} && exec ${command.map(quote).join(' ')}\n`
}

function diskDevice(index: number): string {
  return `/dev/vd${String.fromCharCode('a'.charCodeAt(0) + index)}`
}
