import { createInterface } from 'node:readline'
import { type Readable, Writable } from 'node:stream'
import { credentialProblem, MAX_CREDENTIAL_BYTES } from '../api/auth/credentials.ts'
import { hashPassword as hashOf } from '../api/auth/password-hash.ts'
import { DiskferryError } from '../core/errors.ts'

/**
 * Reads a password and writes the line for `[[auth.users]]` of the configuration to `output`. On a terminal it
 * asks twice, without showing what is typed; from a pipe or a file it takes one line. What it asks goes to
 * `prompts`, so that `output` can be sent to a file.
 * @throws USAGE for a password that no login could use; ABORTED for Ctrl-C and Ctrl-D
 */
export async function hashPassword(
  input: Readable & { readonly isTTY?: boolean },
  output: Writable,
  prompts: Writable = process.stderr,
): Promise<void> {
  const password = input.isTTY ? await askTwice(input, prompts) : await readOneLine(input)
  if (password === '') throw new DiskferryError('USAGE', 'the password is empty; give one')
  const problem = credentialProblem('anybody', password)
  if (problem !== undefined) throw new DiskferryError('USAGE', `${problem}; choose another one`)
  output.write(`password_hash = "${await hashOf(password)}"\n`)
}

async function askTwice(input: Readable, prompts: Writable): Promise<string> {
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input, output: unseen, terminal: true, historySize: 0 })
  try {
    const lines = terminal[Symbol.asyncIterator]()
    const answers: string[] = []
    for (const question of ['Password: ', 'Once more: ']) {
      prompts.write(question)
      const answer = await lines.next()
      prompts.write('\n')
      if (answer.done) throw new DiskferryError('ABORTED', 'no password was typed, so no hash was made')
      answers.push(answer.value)
    }
    const [first = '', second] = answers
    if (first !== second) throw new DiskferryError('USAGE', 'the two passwords differ; try again')
    return first
  } finally {
    terminal.close()
  }
}

async function readOneLine(input: Readable): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of input) {
    chunks.push(Buffer.from(chunk))
    bytes += chunks.at(-1)!.length
    if (bytes > MAX_CREDENTIAL_BYTES + '\r\n'.length) {
      throw new DiskferryError(
        'USAGE',
        `the password has more than ${MAX_CREDENTIAL_BYTES} bytes; choose another one`,
      )
    }
  }
  const line = decode(Buffer.concat(chunks)).replace(/\r?\n$/, '')
  if (!line.includes('\n')) return line
  throw new DiskferryError('USAGE', 'there is more than one line; give the password on one line')
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new DiskferryError('USAGE', 'the password is not UTF-8 text; check the locale', { cause })
  }
}
