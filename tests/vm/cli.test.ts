import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { STORAGE } from '../storage/matrix.ts'
import { mountFilesystem } from '../support/loop-filesystem.ts'
import { loopDevicesBelow } from '../support/mounts.ts'

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
const TIMEOUT_MS = 180_000
const END_CHECKS = 100
const END_PAUSE_MS = 50
/** In the environment of every process that a test of this file starts. */
const MARK = 'DISKFERRY_VM_TEST'
const CLI = [process.execPath, '--import', 'tsx', 'tests/vm/cli.ts'] as const
/** The first words of the kernel. */
const BOOTING = /Linux version/

class Run {
  readonly mark = randomUUID()
  readonly child: ChildProcessByStdio<null, Readable, Readable>
  stdout = ''
  stderr = ''

  constructor([program, ...args]: readonly [string, ...string[]]) {
    this.child = spawn(program, args, {
      cwd: PROJECT,
      env: { ...process.env, [MARK]: this.mark },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.child.stdout.setEncoding('utf8').on('data', (text) => {
      this.stdout += text
    })
    this.child.stderr.setEncoding('utf8').on('data', (text) => {
      this.stderr += text
    })
  }

  async said(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<void> {
    for await (const _ of this.child[stream].iterator({ destroyOnReturn: false })) {
      if (pattern.test(this[stream])) return
    }
    throw new Error(`It ended without ${pattern}: ${this.stdout}${this.stderr}`)
  }

  /** @returns exit code or signal */
  async ended(): Promise<number | string> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'close')
    return this.child.exitCode ?? this.child.signalCode!
  }

  /** The kernel ends them a moment after its parent, and nothing announces that. */
  async assertNothingLeft(): Promise<void> {
    let left = this.#processes()
    for (let check = 1; check < END_CHECKS && left.length > 0; check += 1) {
      await delay(END_PAUSE_MS)
      left = this.#processes()
    }
    assert.deepEqual(left, [])
  }

  /** The process of the kernel, which holds those of the programs. */
  kernel(): string {
    const tracers = this.#pids().map((pid) => /^TracerPid:\s*(\d+)$/m.exec(readProc(pid, 'status'))?.[1])
    const kernel = tracers.find((pid) => pid !== undefined && pid !== '0')
    assert.ok(kernel, 'no process is held by a kernel')
    return kernel
  }

  #processes(): readonly string[] {
    return this.#pids().map((pid) => readProc(pid, 'cmdline').split('\0').slice(0, 4).join(' '))
  }

  #pids(): readonly string[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => readProc(pid, 'environ').split('\0').includes(`${MARK}=${this.mark}`))
  }
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    // It ended meanwhile.
    return ''
  }
}

test('npm run vm gives back both outputs and the exit code', { timeout: TIMEOUT_MS }, async () => {
  const script = 'echo out; echo error >&2; exit 3'
  const run = new Run(['npm', 'run', '--silent', 'vm', '--', '--verbose', '--', 'sh', '-c', script])
  assert.equal(await run.ended(), 3, run.stderr)
  assert.equal(run.stdout, 'out\n')
  assert.match(run.stderr, /^error$/m)
  assert.match(run.stderr, /^The machine booted in [\d.]+ s\.$/m)
  await run.assertNothingLeft()
})

test('a timeout ends the machine with exit code 124', { timeout: TIMEOUT_MS }, async () => {
  const run = new Run([...CLI, '--timeout', '3', '--', 'sleep', '1000'])
  assert.equal(await run.ended(), 124, run.stderr)
  assert.match(run.stderr, /^The test machine was ended after 3 s\./m)
  await run.assertNothingLeft()
})

test('Ctrl-C ends the machine in the middle of its command', { timeout: TIMEOUT_MS }, async () => {
  const run = new Run([...CLI, '--', 'sh', '-c', 'echo started; exec sleep 1000'])
  await run.said('stdout', /started/)
  process.kill(-run.child.pid!, 'SIGINT')
  assert.equal(await run.ended(), 130)
  await run.assertNothingLeft()
})

test('SIGTERM to npm ends the machine in the middle of its boot', { timeout: TIMEOUT_MS }, async () => {
  const run = new Run(['npm', 'run', 'vm', '--', '--console', '--', 'sleep', '1000'])
  await run.said('stderr', BOOTING)
  run.child.kill('SIGTERM')
  await run.ended()
  await run.assertNothingLeft()
})

test('the machine does not outlive the process that booted it', { timeout: TIMEOUT_MS }, async () => {
  const run = new Run([...CLI, '--console', '--', 'sleep', '1000'])
  await run.said('stderr', BOOTING)
  run.child.kill('SIGKILL')
  assert.equal(await run.ended(), 'SIGKILL')
  await run.assertNothingLeft()
})

test('a kernel that is killed takes the programs that it held with it', { timeout: TIMEOUT_MS }, async () => {
  const run = new Run([...CLI, '--', 'sh', '-c', 'echo started; while :; do /bin/true; done'])
  await run.said('stdout', /started/)
  process.kill(Number(run.kernel()), 'SIGKILL')
  assert.equal(await run.ended(), 125)
  assert.match(run.stderr, /^The test machine stopped before its command ended: it ended with 137\./m)
  await run.assertNothingLeft()
})

test('a filesystem that is unmounted while a machine runs is gone', { timeout: TIMEOUT_MS }, async () => {
  const filesystem = await mountFilesystem(STORAGE[0]!)
  const run = new Run([...CLI, '--', 'sh', '-c', 'echo started; exec sleep 1000'])
  await run.said('stdout', /started/)
  const directory = join(filesystem.mountPoint, '..')
  await filesystem[Symbol.asyncDispose]()
  assert.deepEqual(loopDevicesBelow(directory), [])
  process.kill(run.child.pid!, 'SIGTERM')
  assert.equal(await run.ended(), 143)
})

test('a program that its kernel lost hold of would find nothing to harm', {
  timeout: TIMEOUT_MS,
}, async () => {
  const run = new Run([...CLI, '--', 'sh', '-c', 'echo started; exec sleep 1000'])
  await run.said('stdout', /started/)
  const kernel = run.kernel()
  const mounts = readProc(kernel, 'mounts').trim().split('\n')
  // What lies below another mount of the same place can't be reached; the upper one comes later.
  const optionsOf = new Map(
    mounts.map((line) => line.split(' ')).map(([, point, , options]) => [point, options]),
  )
  const writable = [...optionsOf].filter(([, options]) => !options!.startsWith('ro')).map(([point]) => point)
  assert.deepEqual(writable, ['/run'])
  for (const namespace of ['mnt', 'pid', 'ipc', 'net', 'uts']) {
    const link = `ns/${namespace}`
    assert.notEqual(readlinkSync(`/proc/${kernel}/${link}`), readlinkSync(`/proc/self/${link}`))
  }
  assert.deepEqual(readdirSync(`/proc/${kernel}/root/dev`).sort(), ['null', 'random', 'urandom', 'zero'])
  // The first process that is to be seen there is `boot/enter`, and not this machine's.
  assert.match(readFileSync(`/proc/${kernel}/root/proc/1/cmdline`, 'utf8'), /boot\/enter/)
  // CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH and CAP_FOWNER of linux/capability.h.
  assert.match(readProc(kernel, 'status'), /^CapEff:\t0{15}f$/m)
  process.kill(run.child.pid!, 'SIGTERM')
  assert.equal(await run.ended(), 143)
  await run.assertNothingLeft()
})

for (const [args, complaint] of [
  [[], /missing required argument 'command'/],
  [['--disk', '1 potato', '--', 'true'], /'1 potato' is invalid\. It is a number of bytes/],
  [['--timeout', '0', '--', 'true'], /'0' is invalid\. It is a whole number of seconds/],
  [['--warp', '--', 'true'], /unknown option '--warp'/],
] as const) {
  test(`npm run vm -- ${args.join(' ')} is refused before anything is booted`, {
    timeout: TIMEOUT_MS,
  }, async () => {
    const run = new Run([...CLI, ...args])
    assert.equal(await run.ended(), 1)
    assert.match(run.stderr, complaint)
  })
}
