/** examples/backend-template, as somebody who copies it uses it: with the tarball, outside the project. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { ApiClient } from '../support/api-client.ts'
import { startServer } from '../support/server.ts'
import { storageTest } from '../support/storage-test.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { npmInstall, shellEnvironment } from './npm.ts'
import { PROJECT, pack, packProject } from './pack-project.ts'

const SETUP_TIMEOUT_MS = 5 * 60_000
const CONFORMANCE_TIMEOUT_MS = 10 * 60_000
const MIB = 1024 * 1024

let directory: TemporaryDirectory
let template = ''

before(
  async () => {
    directory = await temporaryDirectory('template')
    const tarball = await packProject(directory.path)
    template = join(directory.path, 'template')
    await cp(join(PROJECT, 'examples/backend-template'), template, {
      recursive: true,
      filter: (source) => !/\/(node_modules|dist)$/.test(source),
    })
    // As its README says.
    await npmInstall(template, ['--ignore-scripts', '--save-dev', tarball])
  },
  { timeout: SETUP_TIMEOUT_MS },
)
after(() => directory[Symbol.asyncDispose]())

storageTest(
  'xfs',
  'the template builds and passes the conformance suite from the tarball',
  async ({ mount }) => {
    const { code, output } = await npmTest(mount)
    assert.equal(code, 0, output)
    const count = (what: string) => Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(output)?.[1])
    assert.ok(count('pass') > 50, output)
    assert.equal(count('skipped'), 0, output)
  },
  { sizeBytes: 2048 * MIB, timeoutMs: CONFORMANCE_TIMEOUT_MS },
)

storageTest(
  'ext4',
  'the template fails the conformance suite where files are not cloned',
  async ({ mount }) => {
    const { code, output } = await npmTest(mount)
    assert.notEqual(code, 0)
    assert.match(output, /^not ok .*checkCompatibility\(\) finds the mount compatible/m)
  },
)

storageTest('xfs', 'the template is packed, and a server uses it for a repository', async ({ mount }) => {
  const disk = join(mount, 'disk.img')
  {
    await using handle = await open(disk, 'wx')
    await handle.write(Buffer.alloc(MIB, 'data'))
    await handle.truncate(2 * MIB)
  }
  const host = join(directory.path, 'host')
  await mkdir(host)
  // The peer is the program that runs from the sources; npm would look for a published one.
  await npmInstall(host, ['--ignore-scripts', '--legacy-peer-deps', await pack(template, directory.path)])
  await using server = await startServer({
    directory: host,
    extraConfig: `
[[backends]]
module = "diskferry-backend-reflink"
    [backends.options]
    filesystems = ["xfs"]

[[static.repositories]]
id = "real"
mount_point = "${mount}"

[[static.vms]]
name = "vm"
uuid = "6b0f7c52-2a5e-4f0d-9d0c-3c1f2f9a8b11"
disks = [{ path = "${disk}", device_name = "xvda", mode = "w" }]
`,
  })
  await using client = new ApiClient(server)
  await client.login()
  const first = await client.createSnapshot('vm')
  {
    await using handle = await open(disk, 'r+')
    await handle.write(Buffer.alloc(4096, 'changed'), 0, 4096, MIB)
  }
  const { id } = await client.createSnapshot('vm')
  const { disks } = await client.snapshot('vm', id, first.id)
  assert.equal(disks[0]?.diff?.method, 'content')
  assert.deepEqual(
    disks[0].chunks.map(({ start, length }) => ({ start, length })),
    [{ start: MIB, length: 4096 }],
  )
})

/** Its exit code and all that it printed. */
function npmTest(mount: string): Promise<{ readonly code: number; readonly output: string }> {
  const env = { ...shellEnvironment(), BACKEND_TEST_DIRECTORY: mount }
  return new Promise((resolve) => {
    const child = execFile('npm', ['test'], { cwd: template, env }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, output: `${stdout}\n${stderr}` }),
    )
  })
}
