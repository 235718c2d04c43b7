import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { runInMachine } from './machine.ts'
import { MachineError } from './uml.ts'

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
const TIMEOUT_MS = 180_000
const MIB = 1024 ** 2
/** More than a pipe, a socket and a serial line hold. */
const OUTPUT_BYTES = 12 * MIB

/** Run in the machine by node -e: tells what it sees on standard error, and writes every byte value to the other. */
const REPORT = `
  const fs = require('node:fs')
  const [kept, result] = process.argv.slice(1)
  const text = (path) => fs.readFileSync(path, 'utf8').trim()
  const seen = { kept: text(kept), disks: ['ubda', 'ubdb'].map((name) => 512 * text('/sys/block/' + name + '/size')) }
  seen.modules = text('/proc/modules').match(/^[^ ]+/gm)
  seen.interfaces = Object.keys(require('node:os').networkInterfaces())
  seen.env = process.env
  seen.directory = process.cwd()
  seen.scratchBlocks = fs.statfsSync(process.env.TMPDIR).type
  fs.writeFileSync(kept, 'spoiled')
  fs.writeFileSync(result, 'brought out')
  fs.writeSync(2, JSON.stringify(seen))
  for (let at = 0; at < ${OUTPUT_BYTES}; at += 256) process.stdout.write(Uint8Array.from({ length: 256 }, (_, i) => i))
  process.exitCode = 7
`

class Collected extends Writable {
  readonly #chunks: Buffer[] = []

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#chunks.push(chunk)
    done()
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }
}

test('the machine has what was asked for, and lets out nothing else', { timeout: TIMEOUT_MS }, async (t) => {
  await using kept = await temporaryDirectory('vm-kept')
  await using writable = await temporaryDirectory('vm,writable')
  await writeFile(join(kept.path, 'file'), 'as it was')
  const [stdout, stderr] = [new Collected(), new Collected()]
  const { exitCode, bootMs } = await runInMachine({
    command: [process.execPath, '-e', REPORT, join(kept.path, 'file'), join(writable.path, 'result')],
    modules: ['ocfs2', 'dm_flakey'],
    disks: [64 * MIB, 3 * 1024 ** 4],
    scratchBytes: 1024 * MIB,
    network: true,
    writableDirectory: writable.path,
    env: { QUOTED: `it's "$HOME"\n` },
    timeoutMs: TIMEOUT_MS,
    signal: t.signal,
    stdout,
    stderr,
  })
  t.diagnostic(`The machine booted in ${(bootMs / 1000).toFixed(1)} s.`)
  assert.equal(exitCode, 7)

  const seen = JSON.parse(stderr.bytes().toString())
  assert.equal(seen.directory, PROJECT.replace(/\/$/, ''))
  assert.equal(seen.env.QUOTED, `it's "$HOME"\n`)
  assert.deepEqual(seen.disks, [64 * MIB, 3 * 1024 ** 4])
  assert.ok(seen.modules.includes('ocfs2') && seen.modules.includes('dm_flakey'), seen.modules.join())
  assert.deepEqual(seen.interfaces, ['lo', 'eth0'])
  assert.equal(seen.scratchBlocks, 0xef53, 'TMPDIR is not on ext4')

  assert.equal(seen.kept, 'as it was')
  assert.equal(await readFile(join(kept.path, 'file'), 'utf8'), 'as it was')
  assert.equal(await readFile(join(writable.path, 'result'), 'utf8'), 'brought out')
  const expected = Buffer.alloc(
    OUTPUT_BYTES,
    Uint8Array.from({ length: 256 }, (_, value) => value),
  )
  assert.ok(
    stdout.bytes().equals(expected),
    `standard output is not what was written: ${stdout.bytes().length} bytes`,
  )
})

test('a machine that cannot be prepared says why', { timeout: TIMEOUT_MS }, async (t) => {
  await assert.rejects(
    runInMachine({ command: ['true'], modules: ['no_such_module'], timeoutMs: TIMEOUT_MS, signal: t.signal }),
    (error) => error instanceof MachineError && /no_such_module not found/.test(error.message),
  )
})

test('a machine that cannot start says why', { timeout: TIMEOUT_MS }, async (t) => {
  await assert.rejects(
    runInMachine({ command: ['true'], writableDirectory: '/nowhere/to/be/found', signal: t.signal }),
    (error) =>
      error instanceof MachineError && /it ended with 32.*\/nowhere\/to\/be\/found/s.test(error.message),
  )
})

test('a kernel that gives up ends the machine, with its last words', { timeout: TIMEOUT_MS }, async (t) => {
  await assert.rejects(
    runInMachine({
      command: ['sh', '-c', 'echo c >/proc/sysrq-trigger'],
      timeoutMs: TIMEOUT_MS,
      signal: t.signal,
    }),
    (error) => error instanceof MachineError && /Kernel panic.*sysrq triggered crash/s.test(error.message),
  )
})
