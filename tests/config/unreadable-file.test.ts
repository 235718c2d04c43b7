import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../config/load-config.ts'
import { makeWorkspace, type Workspace } from './workspace.ts'

let workspace: Workspace

before(async () => {
  workspace = await makeWorkspace()
})

after(() => workspace[Symbol.asyncDispose]())

describe('a file that is no configuration', () => {
  it('is refused with the line of the fault', async () => {
    const problems = await workspace.problems('[jwt]\nsecret = "a\n')
    assert.equal(problems.length, 1)
    assert.match(problems[0]!, /^FILE:2: column \d+: is not TOML: .*; correct the line$/)
  })

  it('is refused with the line of a key that is there twice', async () => {
    const problems = await workspace.problems('log_level = "info"\nlog_level = "warn"\n')
    assert.match(problems.join('\n'), /^FILE:2: column 1: is not TOML: trying to redefine/)
  })

  for (const [what, path, says] of [
    ['absent', '/nonexistent/config.toml', /does not exist \(ENOENT\)/],
    ['a folder', '/tmp', /is not a regular file/],
    ['a device', '/dev/zero', /is not a regular file/],
  ] as const) {
    it(`is refused when it is ${what}`, async () => {
      await assert.rejects(loadConfig(path), (error: Error) => {
        return error.message.startsWith(`${path}: `) && says.test(error.message)
      })
    })
  }

  it('is refused when it is larger than a megabyte', async () => {
    assert.match((await workspace.problems(' '.repeat(1024 * 1024 + 1))).join('\n'), /more than 1048576/)
  })

  it('is refused when it is not UTF-8', async () => {
    assert.match((await workspace.problems(Buffer.from([0x61, 0xff]))).join('\n'), /is not UTF-8/)
  })
})
