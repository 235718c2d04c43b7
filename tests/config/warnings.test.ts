import assert from 'node:assert/strict'
import { chmod } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../config/load-config.ts'
import { makeWorkspace, SECRET, type Workspace } from './workspace.ts'

let workspace: Workspace

before(async () => {
  workspace = await makeWorkspace()
})

after(() => workspace[Symbol.asyncDispose]())

describe('a warning', () => {
  async function warnings(text: string): Promise<readonly string[]> {
    return (await workspace.load(text)).warnings.map((line) =>
      line.replace(workspace.path('config.toml'), 'FILE'),
    )
  }

  it('is given for a file that others may read', async () => {
    const path = await workspace.write('open.toml', workspace.toml())
    await chmod(path, 0o640)
    const { warnings: found } = await loadConfig(path)
    assert.deepEqual(found, [
      `${path}:1: may be read by others (mode 640) and holds the secret; \`chmod 600 ${path}\``,
    ])
  })

  it('is given for the secret that is printed in the manual of the exporter', async () => {
    const published = 'yoidthOcBauphFeykCotdidNorjAnAtGhonsabShegAtfexbavlyakPak4SletEd'
    const [warning = ''] = await warnings(workspace.toml().replace(SECRET, published))
    assert.match(warning, /^FILE:4: jwt\.secret: .*openssl rand -hex 32/)
    assert.ok(!warning.includes(published))
  })

  it('is given for sections that are not used, and for an unchecked manager', async () => {
    const found = await warnings(
      workspace.toml(
        '',
        `[ovm]
tls = "off"
[[static.repositories]]
id = "r1"
mount_point = "/srv/r1"
[[static.vms]]
name = "vm"
uuid = "7b1ea2c4-5b0f-4f6e-9d53-0d7c3a1f2e10"
[[auth.users]]
username = "u"
password_hash = "$scrypt$ln=15,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}"`,
      ),
    )
    assert.deepEqual(
      found.map((line) => line.split(' is ')[0]),
      [
        'FILE:9: ovm.tls:',
        'FILE:10: static.repositories[0]:',
        'FILE:13: static.vms[0]:',
        'FILE:16: auth.users[0]:',
      ],
    )
  })
})
