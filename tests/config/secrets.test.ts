import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../config/load-config.ts'
import { makeWorkspace, SECRET, type Workspace } from './workspace.ts'

let workspace: Workspace

before(async () => {
  workspace = await makeWorkspace()
})

after(() => workspace[Symbol.asyncDispose]())

describe('a secret', () => {
  const leak = 'hunter2-never-show'

  it('must have 32 bytes, and the message tells how to make one', async () => {
    const problems = await workspace.problems(workspace.toml().replace(SECRET, leak))
    assert.match(
      problems.join('\n'),
      /^FILE:4: jwt\.secret: has 18 bytes, fewer than 32.*openssl rand -hex 32/,
    )
    assert.deepEqual(await workspace.problems(workspace.toml().replace(SECRET, 'ü'.repeat(16))), [])
  })

  for (const [what, text] of [
    ['a short secret', `[jwt]\nsecret = "${leak}"`],
    ['a secret of the wrong type', `[jwt]\nsecret = ["${leak}"]`],
    ['a syntax error in its line', `[jwt]\nsecret = "${leak}`],
    ['a syntax error beside it', `[jwt]\nsecret = "${leak}"\nx = = 1`],
    ['a bad escape in it', `[jwt]\nsecret = "${leak}\\q"`],
    ['a password for a hash', `[[auth.users]]\nusername = "u"\npassword_hash = "${leak}"`],
    [
      'a hash of too high costs',
      `[[auth.users]]\nusername = "u"\npassword_hash = "$scrypt$ln=30,r=8,p=1$${leak}$x"`,
    ],
    ['a password in the endpoint', `ovm_endpoint = "https://u:${leak}@"`],
    ['two users with the same', `[[auth.users]]\nusername = "${leak}"\n[[auth.users]]\nusername = "${leak}"`],
    ['a secret among backend options', `[[backends]]\noptions = { password = "${leak}" }\n`],
  ] as const) {
    it(`is never shown, not even in a cause: ${what}`, async () => {
      const path = await workspace.write('secret.toml', text)
      await assert.rejects(loadConfig(path), (error: Error) => {
        const shown = [error.message, error.stack, JSON.stringify(error), String(error.cause)].join('\n')
        return !shown.includes(leak)
      })
    })
  }
})
