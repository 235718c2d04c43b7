import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { runTarget } from './run-target.ts'

const FOUND: Readonly<Record<string, RegExp>> = {
  throws: /it ended with 1\n.*TypeError: too long for me/s,
  hangs: /no answer in 3000 ms/,
  leaks: /memory grew by \d+ bytes/,
  ends: /it ended with 0/,
  'runs out of memory': /it ended with (SIGABRT|134|SIGTRAP)/,
}

describe('fuzzing finds a parser that', () => {
  for (const [name, message] of Object.entries(FOUND)) {
    it(name, { timeout: 60_000 }, async () => {
      const module = new URL('broken-targets.ts', import.meta.url)
      // A busy machine takes a while to run out of memory.
      const hangMs = name === 'hangs' ? 3000 : 30_000
      await assert.rejects(runTarget(name, 1, 2000, { module, hangMs }), (error: Error) => {
        assert.match(error.message, message)
        assert.match(error.message, /FUZZ_SEED=1:/)
        return true
      })
    })
  }

  it('throws at an input that was found before', { timeout: 60_000 }, async () => {
    await using directory = await temporaryDirectory('found')
    const name = 'throws at what was found once'
    const module = new URL('broken-targets.ts', import.meta.url)
    const run = () => runTarget(name, 1, 1, { module, found: directory.path })
    assert.ok((await run()).taken > 0)
    await mkdir(join(directory.path, name))
    await writeFile(join(directory.path, name, 'an-input'), 'found once')
    await assert.rejects(run(), /after 0 inputs.*\nZm91bmQgb25jZQ==\n[\s\S]*TypeError: found once/)
  })
})
