/** What is published: the tarball, installed in an empty folder with what it declares, outside the project. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { access, copyFile, mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import packageJson from '../../package.json' with { type: 'json' }
import { ApiClient } from '../support/api-client.ts'
import { command } from '../support/command.ts'
import { storageTest } from '../support/storage-test.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { type InstalledServer, serveInstalled } from './installed-server.ts'
import { npm, npmInstall } from './npm.ts'
import { PROJECT, pack, packProject } from './pack-project.ts'

/** sqlite3 is compiled where its prebuilt binary can't be fetched, and other tests use the processors too. */
const INSTALL_TIMEOUT_MS = 10 * 60_000
const MIB = 1024 * 1024
const NO_REPOSITORY = `[[static.repositories]]
id = "none"
mount_point = "/nowhere"
`

let directory: TemporaryDirectory
let tarball = ''
/** Where the tarball is installed. */
let host = ''
let program = ''

before(
  async () => {
    directory = await temporaryDirectory('package')
    tarball = await packProject(directory.path)
    host = join(directory.path, 'host')
    await mkdir(host)
    await npmInstall(host, [tarball])
    program = join(host, 'node_modules/.bin/diskferry')
  },
  { timeout: INSTALL_TIMEOUT_MS },
)
after(() => directory[Symbol.asyncDispose]())

describe('the tarball', () => {
  it('holds the built program, its manuals and examples, and no sources or tests', async () => {
    const files = (await command('tar', ['--list', '--file', tarball])).trim().split('\n').sort()
    for (const file of [
      ...[
        'dist/bin.cjs',
        'dist/main.js',
        'dist/core/index.js',
        'dist/native/index.js',
        'dist/conformance/index.js',
      ],
      ...['dist/core/index.d.ts', 'dist/native/index.d.ts', 'dist/conformance/index.d.ts'],
      ...['README.md', 'CHANGELOG.md', 'LICENSE', 'docs/writing-a-backend.md', 'backends/xfs/README.md'],
      ...['config/diskferry.example.toml', 'contrib/diskferry.service'],
      ...['examples/backend-template/package.json', 'examples/backend-template/src/index.ts'],
    ]) {
      assert.ok(files.includes(`package/${file}`), `${file} is not in it`)
    }
    const strange = files.filter(
      (file) =>
        !/^package\/(dist|docs|backends|examples|contrib)\//.test(file) &&
        !/^package\/(package\.json|[A-Z]+(\.md)?|config\/diskferry\.example\.toml)$/.test(file),
    )
    assert.deepEqual(strange, [])
    const sources = files.filter(
      (file) => /(?<!\.d)\.ts$/.test(file) && !file.startsWith('package/examples/'),
    )
    assert.deepEqual(sources, [])
  })
})

describe('the installed package', () => {
  it('needs no tool of development', async () => {
    const installed: unknown = JSON.parse(await npm(host, ['ls', '--all', '--json']))
    const text = JSON.stringify(installed)
    for (const name of Object.keys(packageJson.devDependencies)) {
      assert.ok(!text.includes(`"${name}"`), `${name} is installed`)
    }
  })

  it('has a command that knows its version', async () => {
    const version = await npm(host, ['exec', '--offline', '--', 'diskferry', '--version'])
    assert.equal(version.trim(), packageJson.version)
  })

  it('lies where the systemd unit starts it', async () => {
    const unit = await readFile(join(PROJECT, 'contrib/diskferry.service'), 'utf8')
    const started = /^ExecStart=(\S+) serve /m.exec(unit)?.[1]
    assert.match(started ?? '', /^\/opt\/diskferry\//)
    await access(started!.replace('/opt/diskferry', host))
  })

  it('serves over TLS with a database, and ends with exit code 0 when told to', async () => {
    const server = await serveInstalled(program, join(directory.path, 'serving'), NO_REPOSITORY)
    await answers(server, async (client) => {
      assert.deepEqual(await client.json('GET', '/healthz'), { status: 'ok' })
      assert.deepEqual(await client.json('GET', '/readyz'), { status: 'ready' })
      assert.deepEqual(await client.vms(), [])
      const { statusCode, body } = await client.call('GET', '/docs/')
      assert.match(await body.text(), /swagger/i)
      assert.equal(statusCode, 200)
    })
    assert.equal(server.messages.at(-1), 'stopped')
    const warned = server.messages.filter((message) => message.includes('UV_THREADPOOL_SIZE'))
    assert.deepEqual(warned, [], 'the command did not give the process its threads')
  })

  it('loads plugins by package and by path, gives them its own core, and refuses those that fail', async () => {
    const folder = join(directory.path, 'plugins')
    await mkdir(folder)
    await installPlugin(folder, 'beside')
    await writeFile(join(folder, 'by-path.mjs'), pluginSource('by-path'))
    await writeFile(join(folder, 'usurper.mjs'), pluginSource('xfs'))
    await writeFile(join(folder, 'broken.mjs'), 'export default () => {{')
    const modules = ['./broken.mjs', './usurper.mjs', 'plugin-beside', './by-path.mjs']
    const server = await serveInstalled(
      program,
      folder,
      NO_REPOSITORY + modules.map((module) => `\n[[backends]]\nmodule = "${module}"\n`).join(''),
    )
    await answers(server, async (client) => {
      const backends = (await client.json('GET', '/api/v1/backends')) as {
        readonly name: string
        readonly description: string
      }[]
      const names = backends.map(({ name }) => name)
      assert.deepEqual(names, ['beside', 'by-path', 'ocfs2', 'xfs', 'btrfs', 'nfs42', 'cifs'])
      for (const { description } of backends.slice(0, 2)) assert.equal(description, coreOf(host))
    })
    const said = server.messages.join('\n')
    assert.match(said, /\.\/broken\.mjs could not be loaded: Unexpected end of input/)
    assert.match(said, /\.\/usurper\.mjs calls itself xfs, .* comes with Diskferry/)
  })

  it('has types that a consumer compiles against, and that find its mistakes', async () => {
    assert.deepEqual(await compile('right', `import 'diskferry'\n${TYPED_PLUGIN}`), '')
    const wrong = TYPED_PLUGIN.replace(`'content'`, `'guess'`)
    assert.match(await compile('wrong', wrong), /wrong\.mts\(\d+,\d+\): error TS2322.*"guess"/s)
  })

  it("compiles the manual's backend by addresses", async () => {
    const manual = await readFile(join(PROJECT, 'docs/writing-a-backend.md'), 'utf8')
    const [, imports, members] = /```ts\n(import \{ physicalDiff[\s\S]*?)\n\n\/\/ .*\n([\s\S]*?)```/.exec(
      manual,
    )!
    const wanted = /\n {2}extentMap: [\s\S]*?\n\}\)/
    assert.match(TYPED_PLUGIN, wanted)
    assert.equal(
      await compile('physical', `${imports}\n${TYPED_PLUGIN.replace(wanted, `\n${members}})`)}`),
      '',
    )
  })
})

storageTest('xfs', 'the installed package takes a snapshot and serves its bytes', async ({ mount }) => {
  const disk = join(mount, 'disk.img')
  const content = Buffer.alloc(MIB, 'a full disk ')
  {
    await using handle = await open(disk, 'wx')
    await handle.write(content, 0, MIB, MIB)
    await handle.truncate(4 * MIB)
  }
  const inventory = `[[static.repositories]]
id = "real"
mount_point = "${mount}"

[[static.vms]]
name = "vm"
uuid = "6b0f7c52-2a5e-4f0d-9d0c-3c1f2f9a8b11"
disks = [{ path = "${disk}", device_name = "xvda", mode = "w" }]
`
  const server = await serveInstalled(program, join(directory.path, 'exporting'), inventory)
  await answers(server, async (client) => {
    const { id, disks } = await client.createSnapshot('vm')
    const chunks = disks[0]!.chunks.map(({ start, length }) => ({ start, length }))
    assert.deepEqual(chunks, [{ start: MIB, length: MIB }])
    await copyFile('/dev/null', disk)
    const headers = { range: `bytes=${MIB}-${2 * MIB - 1}` }
    const { statusCode, body } = await client.call(
      'GET',
      `/api/v1/vms/vm/snapshots/${id}/disks/${disks[0]!.name}`,
      { headers },
    )
    assert.equal(statusCode, 206)
    assert.ok(content.equals(Buffer.from(await body.arrayBuffer())))
    await client.deleteSnapshot('vm', id)
  })
})

storageTest('xfs', 'the installed package runs the conformance suite', async ({ mount }) => {
  const args = [
    'conformance',
    '--backend',
    'xfs',
    '--directory',
    mount,
    '--only',
    'manifest and mount',
    '--json',
  ]
  const { passed, failed, skipped } = JSON.parse(await command(program, args)) as Record<string, number>
  assert.ok(passed! > 0)
  assert.deepEqual({ failed, skipped }, { failed: 0, skipped: 0 })
})

/** Works with a client that has logged in, then stops the server and checks that it ended well. */
async function answers(server: InstalledServer, work: (client: ApiClient) => Promise<void>): Promise<void> {
  try {
    await using client = new ApiClient(server)
    await client.login()
    await work(client)
  } catch (error) {
    await server.stop()
    throw error
  }
  assert.equal(await server.stop(), 0)
}

/** A backend that tells, as its description, which core it was given. */
function pluginSource(name: string): string {
  return `import { BACKEND_API_VERSION } from 'diskferry/core'
export default () => ({
  manifest: {
    name: '${name}',
    apiVersion: BACKEND_API_VERSION,
    description: import.meta.resolve('diskferry/core'),
    filesystems: ['nothing'],
    difference: 'content',
  },
  checkCompatibility() {}, clone() {}, extentMap() {}, diff() {},
})`
}

function coreOf(folder: string): string {
  return `file://${folder}/node_modules/diskferry/dist/core/index.js`
}

/** Makes a package of a plugin and installs it beside Diskferry. */
async function installPlugin(folder: string, name: string): Promise<void> {
  const source = join(folder, 'package')
  await mkdir(source)
  const description = {
    name: `plugin-${name}`,
    version: '1.0.0',
    type: 'module',
    exports: './index.js',
    peerDependencies: { diskferry: packageJson.version },
  }
  await writeFile(join(source, 'package.json'), JSON.stringify(description))
  await writeFile(join(source, 'index.js'), pluginSource(name))
  await npmInstall(host, ['--ignore-scripts', await pack(source, folder)])
}

const TYPED_PLUGIN = `
import { conformance } from 'diskferry/conformance'
import { BACKEND_API_VERSION, type BackendFactory, contentDiff, trialClone } from 'diskferry/core'
import { cloneFile, seekExtents } from 'diskferry/native'

export const factory: BackendFactory = () => ({
  manifest: { name: 'typed', apiVersion: BACKEND_API_VERSION, description: '', filesystems: ['x'], difference: 'content' },
  checkCompatibility: ({ trialDirectory }) => trialClone(cloneFile, trialDirectory),
  clone: (source, target, signal) => cloneFile(source, target, signal),
  extentMap: seekExtents,
  diff: (base, target, options) => contentDiff({ base, target, extentMap: seekExtents }, options),
})
await conformance({ backend: factory, directory: '/nowhere' })
`

/** @returns what the compiler complains about, in our declarations too */
async function compile(name: string, source: string): Promise<string> {
  const file = join(host, `${name}.mts`)
  await writeFile(file, source)
  const settings = {
    compilerOptions: {
      target: 'es2022',
      module: 'nodenext',
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      types: ['node'],
      typeRoots: [join(PROJECT, 'node_modules/@types')],
    },
    files: [basename(file)],
  }
  const project = join(host, `${name}.json`)
  await writeFile(project, JSON.stringify(settings))
  return spawnSync(join(PROJECT, 'node_modules/.bin/tsc'), ['--project', project], { encoding: 'utf8' })
    .stdout
}
