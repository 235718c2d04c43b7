import assert from 'node:assert/strict'
import { chmod, mkdir, readFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../config/load-config.ts'
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
        tls: { certificate: workspace.certificate, key: workspace.key },
      },
      ovm: { agentDbDir: '/etc/ovs-agent/db', tls: 'pin' },
      inventory: { source: 'ovs-agent', requireMountPoint: true },
      static: { repositories: [], vms: [] },
      auth: { provider: 'ovm-manager', users: [] },
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
api = { port = 0, shutdown_grace = "1m30s", client_certificates = "required", tls.certificate = "${workspace.certificate}", tls.key = "${workspace.key}", tls.ca_certificate = "${ca}" }
jwt.secret = '${SECRET}'
[ovm]
agent_db_dir = "/srv/agent/"
tls = "ca"
ca_certificate = "${ca}"
[inventory]
source = "static"
require_mount_point = false
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
[[auth.users]]
username = "backup"
password_hash = "${hash}"
[[backends]]
module = "@example/diskferry-zfs"
[backends.options]
pool = "tank"
retries = 3
[[backends]]
module = "/opt/other.js"
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
      tls: { certificate: workspace.certificate, key: workspace.key, caCertificate: ca },
    })
    assert.deepEqual(config.ovm, { agentDbDir: '/srv/agent', tls: 'ca', caCertificate: ca })
    assert.deepEqual(config.inventory, { source: 'static', requireMountPoint: false })
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
    assert.deepEqual(config.auth, { provider: 'users', users: [{ username: 'backup', passwordHash: hash }] })
    assert.equal(config.backends.length, 2)
    assert.equal(config.backends[0]?.module, '@example/diskferry-zfs')
    assert.deepEqual({ ...config.backends[0]?.options }, { pool: 'tank', retries: 3 })
    assert.deepEqual(config.backends[1], { module: '/opt/other.js', options: {} })
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

/** What must be said about each mistake: the text of the file is made of a good one. */
interface Mistake {
  readonly what: string
  readonly top?: string
  readonly tables?: string
  readonly says: readonly RegExp[]
}

const HASH = `$scrypt$ln=15,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
const UUID = '7b1ea2c4-5b0f-4f6e-9d53-0d7c3a1f2e10'
const REPOSITORY =
  '[inventory]\nsource = "static"\n[[static.repositories]]\nid = "r1"\nmount_point = "/srv/r1"\n'

const MISTAKES: readonly Mistake[] = [
  {
    what: 'a misspelt key',
    top: 'log_fiel = "x"',
    says: [/^FILE:2: log_fiel: is not known; did you mean log_file\?$/],
  },
  {
    what: 'two letters swapped',
    tables: '[api]\nprot = 1',
    says: [/^FILE:9: api\.prot: is not known; did you mean port\?$/],
  },
  {
    what: 'an unknown table',
    tables: '[quiesce]\na = 1',
    says: [/^FILE:8: quiesce: is not known; remove it$/],
  },
  {
    what: 'a key in the wrong table',
    tables: '[ovm]\nlog_file = "/tmp/x"\nbind = "::"',
    says: [/^FILE:9: ovm\.log_file: .*top of the file/, /^FILE:10: ovm\.bind: .*its place is below \[api\]$/],
  },
  {
    what: 'a number for a string',
    top: 'log_level = 3',
    says: [/^FILE:2: log_level: is an integer; write a string/],
  },
  {
    what: 'a string for a number',
    tables: '[api]\nport = "5544"',
    says: [/^FILE:9: api\.port: is a string; write an int/],
  },
  {
    what: 'a fraction',
    tables: '[api]\nport = 55.5',
    says: [/^FILE:9: api\.port: is a number with a fraction/],
  },
  {
    what: 'a number for a table',
    top: 'ovm = 3',
    says: [/^FILE:2: ovm: is an integer; write it as the table \[ovm\]$/],
  },
  {
    what: 'a table for a list',
    tables: '[static.vms]\nname = "x"',
    says: [/^FILE:8: static\.vms: is a table; start each of its tables with \[\[static\.vms\]\]$/],
  },
  {
    what: 'a list of something else',
    tables: `${REPOSITORY}[[static.vms]]\nname = "x"\nuuid = "${UUID}"\ndisks = ["/a.img"]`,
    says: [
      /^FILE:16: static\.vms\[0\]\.disks: is an array; start each of its tables with \[\[static\.vms\.disks\]\]$/,
    ],
  },
  {
    what: 'a date',
    top: 'db_file2 = 1\nlog_file = 1979-05-27',
    says: [/^FILE:2: db_file2/, /^FILE:3: log_file: is a date/],
  },
  {
    what: 'an unknown choice',
    top: 'log_level = "loud"',
    says: [/^FILE:2: log_level: "loud" is not known; use "trace" or/],
  },
  {
    what: 'a port out of range',
    tables: '[api]\nport = 65536',
    says: [/^FILE:9: api\.port: 65536 is not a port/],
  },
  { what: 'a negative port', tables: '[api]\nport = -1', says: [/^FILE:9: api\.port: -1 is not a port/] },
  {
    what: 'a host name to bind to',
    tables: '[api]\nbind = "localhost"',
    says: [/^FILE:9: api\.bind: "localhost" is not an IP/],
  },
  {
    what: 'a negative duration',
    tables: '[api]\nshutdown_grace = "-1h"',
    says: [/^FILE:9: api\.shutdown_grace: "-1h" is not a duration/],
  },
  {
    what: 'a duration without a unit',
    tables: '[api]\nshutdown_grace = 30',
    says: [/^FILE:9: api\.shutdown_grace: is an integer; write a duration/],
  },
  {
    what: 'a grace of days',
    tables: '[api]\nshutdown_grace = "25h"',
    says: [/^FILE:9: api\.shutdown_grace: is longer than a day/],
  },
  {
    what: 'no boolean',
    tables: '[inventory]\nrequire_mount_point = "yes"',
    says: [/^FILE:9: .*require_mount_point: is a string; write true or false/],
  },
  {
    what: 'an endpoint that is no URL',
    top: 'ovm_endpoint = "manager"',
    says: [/^FILE:2: ovm_endpoint: is not a URL/],
  },
  {
    what: 'an endpoint with a password',
    top: 'ovm_endpoint = "https://a:hunter2@m"',
    says: [/^FILE:2: ovm_endpoint: holds a user name/],
  },
  {
    what: 'an endpoint without TLS',
    top: 'ovm_endpoint = "http://m"',
    says: [/^FILE:2: ovm_endpoint: is not https/],
  },
  {
    what: 'an endpoint of another kind',
    top: 'ovm_endpoint = "ftp://m"',
    says: [/^FILE:2: ovm_endpoint: is not an https URL/],
  },
  {
    what: 'a relative agent folder',
    tables: '[ovm]\nagent_db_dir = "db"',
    says: [/^FILE:9: ovm\.agent_db_dir: "db" is not an absolute path/],
  },
  {
    what: 'a control character in a path',
    top: 'log_file = "/tmp/\\u0000x"',
    says: [/^FILE:2: log_file: holds a control character/],
  },
  {
    what: 'no authority for client certificates',
    tables: '[api]\nclient_certificates = "required"',
    says: [/^FILE:5: api\.tls\.ca_certificate: is missing/],
  },
  {
    what: 'no authority for the manager',
    tables: '[ovm]\ntls = "ca"',
    says: [/^FILE:8: ovm\.ca_certificate: is missing/],
  },
  {
    what: 'no repository in a static inventory',
    tables: '[inventory]\nsource = "static"',
    says: [/^FILE:9: inventory\.source: .*add a \[\[static\.repositories\]\]/],
  },
  {
    what: 'no user among users',
    tables: '[auth]\nprovider = "users"',
    says: [/^FILE:9: auth\.provider: .*add an \[\[auth\.users\]\]/],
  },
  {
    what: 'two repositories with one id, and one mount point spelt differently',
    tables: `${REPOSITORY}[[static.repositories]]\nid = "r1"\nmount_point = "/srv/./r1/"`,
    says: [
      /^FILE:14: static\.repositories\[1\]\.id: is the same as in line 11/,
      /^FILE:15: static\.repositories\[1\]\.mount_point: is the same as in line 12/,
    ],
  },
  {
    what: 'two VMs with one name and one UUID',
    tables:
      REPOSITORY +
      `[[static.vms]]\nname = "v"\nuuid = "${UUID}"\n[[static.vms]]\nname = "v"\nuuid = "${UUID.toUpperCase()}"`,
    says: [
      /^FILE:17: static\.vms\[1\]\.name: is the same as in line 14/,
      /^FILE:18: static\.vms\[1\]\.uuid: is the same as in line 15/,
    ],
  },
  {
    what: 'two disks of one VM with one device and one file',
    tables:
      REPOSITORY +
      `[[static.vms]]\nname = "v"\nuuid = "${UUID}"\ndisks = [\n{ path = "/a", device_name = "xvda" },\n{ path = "/a", device_name = "xvda" } ]`,
    says: [
      /^FILE:18: static\.vms\[0\]\.disks\[1\]\.device_name: is the same as in line 17/,
      /^FILE:18: static\.vms\[0\]\.disks\[1\]\.path: is the same as in line 17/,
    ],
  },
  {
    what: 'a VM that lacks everything and a bad one',
    tables:
      REPOSITORY +
      '[[static.vms]]\n[[static.vms]]\nname = "../x"\nuuid = "7b1e"\n[[static.vms.disks]]\npath = "a.img"\ndevice_name = "/dev/xvda"\nmode = "rw"',
    says: [
      /^FILE:13: static\.vms\[0\]\.name: is missing; set it/,
      /^FILE:13: static\.vms\[0\]\.uuid: is missing; set it/,
      /^FILE:15: static\.vms\[1\]\.name: "\.\.\/x" can't be an id/,
      /^FILE:16: static\.vms\[1\]\.uuid: "7b1e" is not a UUID/,
      /^FILE:18: static\.vms\[1\]\.disks\[0\]\.path: "a\.img" is not an absolute path/,
      /^FILE:19: static\.vms\[1\]\.disks\[0\]\.device_name: "\/dev\/xvda" is not a device/,
      /^FILE:20: static\.vms\[1\]\.disks\[0\]\.mode: "rw" is not known/,
    ],
  },
  {
    what: 'two users with one name',
    tables: `[auth]\nprovider = "users"\n[[auth.users]]\nusername = "u"\npassword_hash = "${HASH}"\n[[auth.users]]\nusername = "u"\npassword_hash = "${HASH}"`,
    says: [/^FILE:14: auth\.users\[1\]\.username: is the same as in line 11/],
  },
  {
    what: 'a relative backend',
    tables: '[[backends]]\nmodule = "./b.js"',
    says: [/^FILE:9: backends\[0\]\.module: "\.\/b\.js" is neither/],
  },
  {
    what: 'backend options that are none',
    tables: '[[backends]]\nmodule = "b"\noptions = 3',
    says: [/^FILE:10: backends\[0\]\.options: is an integer; write a table/],
  },
  {
    what: 'a folder that is missing',
    top: 'log_file = "/nonexistent/log"',
    says: [/^FILE:2: log_file: the folder \/nonexistent does not exist \(ENOENT\).*mkdir -p \/nonexistent/],
  },
  {
    what: 'a folder that is a file',
    top: 'log_file = "/etc/passwd/log"',
    says: [/^FILE:2: log_file: the folder \/etc\/passwd is not a folder/],
  },
]

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
