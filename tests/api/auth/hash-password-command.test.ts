import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable, Writable } from 'node:stream'
import { describe, it } from 'node:test'
import { verifyPassword } from '../../../api/auth/password-hash.ts'
import { hashPassword } from '../../../cli/hash-password.ts'
import { parsePasswordHash } from '../../../config/password-hash-format.ts'
import type { DiskferryError } from '../../../core/errors.ts'

class Captured extends Writable {
  text = ''

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

async function hashOf(input: string | Buffer): Promise<string> {
  const output = new Captured()
  const prompts = new Captured()
  await hashPassword(Readable.from([Buffer.from(input)]), output, prompts)
  assert.equal(prompts.text, '', 'a pipe is not asked')
  return output.text
}

async function assertIsHashOf(line: string, password: string): Promise<void> {
  const [, hash = ''] = /^password_hash = "([^"]+)"$/m.exec(line) ?? []
  const stored = parsePasswordHash(hash)
  assert.ok(stored, line)
  assert.equal(await verifyPassword(password, stored), true)
}

describe('hash-password, from a pipe', () => {
  it('prints the line for the configuration', async () => {
    const line = await hashOf('correct horse\n')
    assert.match(line, /^password_hash = "\$scrypt\$[^"\n]+"\n$/)
    await assertIsHashOf(line, 'correct horse')
  })

  it('takes a line without an end, and one that ends as on Windows', async () => {
    await assertIsHashOf(await hashOf('pä:ss'), 'pä:ss')
    await assertIsHashOf(await hashOf('spaces stay \r\n'), 'spaces stay ')
  })

  for (const [what, input, message] of [
    ['nothing', '', /empty/],
    ['an empty line', '\n', /empty/],
    ['two lines', 'one\ntwo\n', /more than one line/],
    ['a control character', 'a\tb\n', /control character/],
    ['an endless line', 'x'.repeat(1 << 20), /more than 1024 bytes/],
    ['bytes that are not UTF-8', Buffer.from([0xff, 0xfe, 0x0a]), /not UTF-8/],
  ] as const) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(hashOf(input), (error: DiskferryError) => {
        return error.code === 'USAGE' && message.test(error.message)
      })
    })
  }
})

/** Runs the command on a pseudo-terminal made by script(1), which Debian always has (package bsdutils). */
async function onTerminal(answers: readonly string[]): Promise<{ screen: string; code: number }> {
  const module = new URL('../../../cli/hash-password.ts', import.meta.url).pathname
  const program =
    `import('${module}').then((m) => m.hashPassword(process.stdin, process.stdout))` +
    `.catch((error) => { console.log(error.code); process.exitCode = 3 })`
  const command = `${process.execPath} --import tsx -e "${program}"`
  const terminal = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(terminal, 'exit')
  let screen = ''
  const waiting = [...answers]
  terminal.stdout.setEncoding('utf8')
  terminal.stdout.on('data', (shown: string) => {
    screen += shown
    const asked = (screen.match(/Password: |Once more: /g) ?? []).length
    if (asked > answers.length - waiting.length) terminal.stdin.write(waiting.shift() ?? '')
  })
  const [code] = await exited
  return { screen, code }
}

describe('hash-password, on a terminal', () => {
  it('asks twice and shows nothing of what is typed', async () => {
    const { screen, code } = await onTerminal(['s3cret-päss\r', 's3cret-päss\r'])
    assert.equal(code, 0, screen)
    assert.match(screen, /Password: [\s\S]*Once more: /)
    assert.doesNotMatch(screen, /s3cret/)
    await assertIsHashOf(screen.replaceAll('\r', ''), 's3cret-päss')
  })

  it('lets a typing mistake be taken back', async () => {
    const { screen, code } = await onTerminal(['s3cretX\x7f\r', 's3cret\r'])
    assert.equal(code, 0, screen)
    await assertIsHashOf(screen.replaceAll('\r', ''), 's3cret')
  })

  it('makes no hash when the two differ', async () => {
    const { screen, code } = await onTerminal(['s3cret\r', 'secret\r'])
    assert.equal(code, 3)
    assert.match(screen, /USAGE/)
    assert.doesNotMatch(screen, /scrypt|s3cret/)
  })

  it('makes no hash on Ctrl-C', async () => {
    const { screen, code } = await onTerminal(['s3cr\x03'])
    assert.equal(code, 3)
    assert.match(screen, /ABORTED/)
    assert.doesNotMatch(screen, /scrypt|s3cr/)
  })
})
