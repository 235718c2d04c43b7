import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { MISTAKES } from './mistakes.ts'
import { makeWorkspace, type Workspace } from './workspace.ts'

let workspace: Workspace

before(async () => {
  workspace = await makeWorkspace()
})

after(() => workspace[Symbol.asyncDispose]())

describe('a configuration is refused with', () => {
  for (const { what, top, tables, says } of MISTAKES) {
    it(what, async () => {
      const problems = await workspace.problems(workspace.toml(top, tables))
      assert.equal(problems.length, says.length, problems.join('\n'))
      for (const [index, pattern] of says.entries()) assert.match(problems[index]!, pattern)
    })
  }

  it('nothing in it, telling all that is needed', async () => {
    const problems = await workspace.problems('')
    const missing = problems.filter((line) => line.includes('is missing')).map((line) => line.split(':')[2])
    assert.deepEqual(missing, [' jwt.secret', ' api.tls.certificate', ' api.tls.key'])
  })

  it('a log file that is a folder', async () => {
    await mkdir(workspace.path('folder'))
    const problems = await workspace.problems(workspace.toml(`log_file = "${workspace.path('folder')}"`))
    assert.match(problems.join('\n'), /^FILE:2: log_file: \S+\/folder is not a file/)
  })

  it('the log in the database', async () => {
    const problems = await workspace.problems(workspace.toml(`log_file = "${workspace.path('exporter.db')}"`))
    assert.match(problems.join('\n'), /^FILE:2: log_file: is the same file as db_file/)
  })

  it('more mistakes than anybody reads', async () => {
    const problems = await workspace.problems(
      Array.from({ length: 20_000 }, (_, index) => `x${index} = 1`).join('\n'),
    )
    assert.equal(problems.length, 51)
    assert.match(problems.at(-1)!, /and 19\d{3} more problems/)
  })

  it('a key as long as the file', async () => {
    const problems = await workspace.problems(`${'x'.repeat(500_000)} = 1`)
    assert.ok(problems.every((line) => line.length < 500))
  })

  it('a key that could reach into the program', async () => {
    const problems = await workspace.problems(
      workspace.toml('', '[[backends]]\nmodule = "b"\noptions.__proto__.x = 1'),
    )
    assert.match(
      problems.join('\n'),
      /^FILE:10: column \d+: is not TOML: document contains an unsafe property/,
    )
  })

  it('nesting without end', async () => {
    const problems = await workspace.problems(`x = ${'['.repeat(100_000)}`)
    assert.match(problems.join('\n'), /^FILE:1: column \d+: is not TOML: .*nested/)
  })
})
