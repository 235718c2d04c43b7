import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { makeWorkspace, SECRET, type Workspace } from './workspace.ts'

let workspace: Workspace

before(async () => {
  workspace = await makeWorkspace()
})

after(() => workspace[Symbol.asyncDispose]())

describe('a good configuration', () => {
  it('needs a secret and a certificate only', async () => {
    const { config, warnings } = await workspace.load(workspace.toml())
    assert.deepEqual(config, {
      dbFile: workspace.path('exporter.db'),
      logLevel: 'info',
      jwt: { secret: SECRET, timeToLiveSeconds: 604_800 },
      api: {
        bind: '0.0.0.0',
        port: 5544,
        clientCertificates: 'off',
        shutdownGraceMs: 30_000,
        connectionsPerClient: 256,
        downloadsPerClient: 32,
        tls: { certificate: workspace.certificate, key: workspace.key },
      },
      ovm: { agentDbDir: '/etc/ovs-agent/db', tls: 'pin' },
      inventory: { source: 'ovs-agent', requireMountPoint: true, answerWithinMs: 10_000 },
      static: { repositories: [], vms: [] },
      auth: {
        failedLoginsPerAddress: 30,
        failedLoginsPerUser: 10,
        provider: 'ovm-manager',
        users: [],
      },
      audit: { rate: 104_857_600, concurrent: 2 },
      quiesce: { timeoutMs: 30_000, required: false, onLongStall: 'refuse' },
      retention: { intervalMs: 900_000 },
      backends: [],
    })
    assert.deepEqual(warnings, [])
  })

  it('can be the file of the Coriolis OVM exporter as it is', async () => {
    const ca = await workspace.write('ca.pem', await readFile(workspace.certificate))
    const { config, warnings } = await workspace.load(
      [
        '# Path on disk to the database file.',
        `db_file = "${workspace.path('exporter.db')}"`,
        'log_file = ""',
        'ovm_endpoint = "https://10.0.0.7:7002"',
        '',
        '[jwt]',
        `secret = "${SECRET}"`,
        'time_to_live = "24h"',
        '',
        '[api]',
        'bind = "::1"',
        'port = 15544',
        '    [api.tls]',
        `    certificate = "${workspace.certificate}"`,
        `    key = "${workspace.key}"`,
        `    ca_certificate = "${ca}"`,
        '',
      ].join('\n'),
    )
    assert.equal(config.logFile, undefined)
    assert.equal(config.ovmEndpoint, 'https://10.0.0.7:7002')
    assert.equal(config.jwt.timeToLiveSeconds, 86_400)
    assert.equal(config.api.bind, '::1')
    assert.equal(config.api.port, 15544)
    assert.equal(config.api.tls.caCertificate, ca)
    assert.deepEqual(warnings, [])
  })

  it('carries every setting', async () => {
    const ca = await workspace.write('ca.pem', await readFile(workspace.certificate))
    const hash = `$scrypt$ln=15,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
    const { config, warnings } = await workspace.load(
      `db_file = "${workspace.path('other.db')}"
log_file = "${workspace.path('log')}"
log_level = "debug"
ovm_endpoint = "https://manager.example:7002/"
api = { port = 0, shutdown_grace = "1m30s", connections_per_client = 99, downloads_per_client = 3, client_certificates = "required", tls.certificate = "${workspace.certificate}", tls.key = "${workspace.key}", tls.ca_certificate = "${ca}" }
jwt.secret = '${SECRET}'
[ovm]
agent_db_dir = "/srv/agent/"
tls = "ca"
ca_certificate = "${ca}"
[inventory]
source = "static"
require_mount_point = false
answer_within = "1m30s"
[[static.repositories]]
id = "r1"
mount_point = "/srv/r1/"
[[static.repositories]]
id = "r2"
mount_point = "/srv/r2"
[[static.vms]]
name = "vm-1"
uuid = "7B1EA2C4-5B0F-4F6E-9D53-0D7C3A1F2E10"
disks = [
  { path = "/srv/r1/a.img", device_name = "xvda" },
  { path = "/srv/r2/b.iso", device_name = "xvdb:cdrom", mode = "r" },
]
[[static.vms]]
name = "vm-2"
uuid = "7b1ea2c4-5b0f-4f6e-9d53-0d7c3a1f2e11"
friendly_name = "Web sörver"
[[static.vms.disks]]
path = "/srv/r1/a.img"
device_name = "xvda"
mode = "w!"
[auth]
provider = "users"
failed_logins_per_address = 7
failed_logins_per_user = 5
[[auth.users]]
username = "backup"
password_hash = "${hash}"
[[backends]]
module = "@example/diskferry-zfs"
[backends.options]
pool = "tank"
retries = 3
[[backends]]
module = "./other.js"
`,
    )
    assert.deepEqual(warnings, [])
    assert.equal(config.logFile, workspace.path('log'))
    assert.equal(config.logLevel, 'debug')
    assert.equal(config.ovmEndpoint, 'https://manager.example:7002')
    assert.deepEqual(config.api, {
      bind: '0.0.0.0',
      port: 0,
      clientCertificates: 'required',
      shutdownGraceMs: 90_000,
      connectionsPerClient: 99,
      downloadsPerClient: 3,
      tls: { certificate: workspace.certificate, key: workspace.key, caCertificate: ca },
    })
    assert.deepEqual(config.ovm, { agentDbDir: '/srv/agent', tls: 'ca', caCertificate: ca })
    assert.deepEqual(config.inventory, {
      source: 'static',
      requireMountPoint: false,
      answerWithinMs: 90_000,
    })
    assert.deepEqual(config.static, {
      repositories: [
        { id: 'r1', mountPoint: '/srv/r1' },
        { id: 'r2', mountPoint: '/srv/r2' },
      ],
      vms: [
        {
          name: 'vm-1',
          uuid: '7b1ea2c4-5b0f-4f6e-9d53-0d7c3a1f2e10',
          friendlyName: 'vm-1',
          disks: [
            { path: '/srv/r1/a.img', deviceName: 'xvda', mode: 'w' },
            { path: '/srv/r2/b.iso', deviceName: 'xvdb:cdrom', mode: 'r' },
          ],
        },
        {
          name: 'vm-2',
          uuid: '7b1ea2c4-5b0f-4f6e-9d53-0d7c3a1f2e11',
          friendlyName: 'Web sörver',
          disks: [{ path: '/srv/r1/a.img', deviceName: 'xvda', mode: 'w!' }],
        },
      ],
    })
    assert.deepEqual(config.auth, {
      failedLoginsPerAddress: 7,
      failedLoginsPerUser: 5,
      provider: 'users',
      users: [{ username: 'backup', passwordHash: hash }],
    })
    assert.equal(config.backends.length, 2)
    assert.equal(config.backends[0]?.module, '@example/diskferry-zfs')
    assert.deepEqual({ ...config.backends[0]?.options }, { pool: 'tank', retries: 3 })
    assert.deepEqual(config.backends[1], { module: './other.js', options: {} })
  })

  it('takes a lifetime of "0" for the default, as the exporter did', async () => {
    const { config } = await workspace.load(workspace.toml().replace('[jwt]', '[jwt]\ntime_to_live = "0"'))
    assert.equal(config.jwt.timeToLiveSeconds, 604_800)
  })

  it('finds relative paths at the working directory', async () => {
    const text = workspace
      .toml()
      .replace(workspace.path('exporter.db'), relative(process.cwd(), workspace.path('r.db')))
    const { config } = await workspace.load(text)
    assert.equal(config.dbFile, workspace.path('r.db'))
  })

  it('may start with a byte order mark and have the line ends of Windows', async () => {
    const { config } = await workspace.load(`\ufeff${workspace.toml().replaceAll('\n', '\r\n')}`)
    assert.equal(config.jwt.secret, SECRET)
  })
})
